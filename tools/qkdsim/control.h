/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is told to the simulator at run time, over a Unix socket: one JSON
 * object a line, and one JSON object a line back.
 *
 *	{"verb":"cut"}                  the fibre is cut: no new keys
 *	{"verb":"restore"}              and mended
 *	{"verb":"qber","value":0.08}    an eavesdropper; null: the link's own
 *	{"verb":"delay","ms":500}       before each answer
 *	{"verb":"error","code":503,"count":3}  instead of answers; count 0: until
 *	{"verb":"error","code":0}       this
 *	{"verb":"status"}
 *
 * Answers: {"ok":true,...} or {"ok":false,"message":"..."}.
 */
#ifndef QKDSIM_CONTROL_H
#define QKDSIM_CONTROL_H

#include "faults.h"
#include "link.h"

struct control;

int control_create(struct loop *loop, const char *path, struct link *link, struct faults *faults,
		   struct control **control);
void control_destroy(struct control *control);

/** The client: `qkdsim ctl SOCKET VERB...`. Return: exit code. */
int control_client(int argc, char **argv);

#endif
