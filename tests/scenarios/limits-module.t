#!/bin/bash
export BACKEND=module
exec "$(dirname "$0")/limits.t"
