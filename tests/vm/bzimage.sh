# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# Takes a packed kernel apart. Who sources this sets $work and has die().

number() { # FILE OFFSET OCTETS
	od -An -j "$2" -N "$3" -t "u$3" "$1" | tr -d ' '
}

# elf_kernel BZIMAGE: the ELF file in it, as the boot protocol's header places
# it (Documentation/arch/x86/boot.rst: setup_sects, payload_offset,
# payload_length). The last four octets are its length.
elf_kernel() {
	local at length
	at=$((($(number "$1" 0x1f1 1) + 1) * 512 + $(number "$1" 0x248 4)))
	length=$(($(number "$1" 0x24c 4) - 4))
	dd if="$1" of="$work/payload" iflag=skip_bytes,count_bytes skip=$at count=$length status=none
	case $(od -An -N 4 -t x1 "$work/payload") in
	' fd 37 7a 58') xz -dc "$work/payload" ;;
	' 28 b5 2f fd') zstd -qdc "$work/payload" ;;
	*) die "$1 is packed in an unknown way" ;;
	esac
}
