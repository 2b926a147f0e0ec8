/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of text: columns as wide as they must be. No I/O but the printing. */
#ifndef QKDCTL_TABLE_H
#define QKDCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum colour {
	COLOUR_NONE,
	COLOUR_GOOD,
	COLOUR_WARN,
	COLOUR_BAD,
	COLOUR_BOLD,
	COLOUR_DIM,
};

struct table;

/** NULL: out of memory. */
struct table *table_new(size_t columns);
void table_free(struct table *table);

/** @right: numbers stand to the right */
void table_header(struct table *table, size_t column, const char *text, bool right);

/** Begins a new row; its cells are empty. -ENOMEM. */
int table_row(struct table *table);

/** Sets a cell of the newest row; control characters become '?'. -ENOMEM. */
int table_cell(struct table *table, size_t column, const char *text, enum colour colour);

/** Header and rows, aligned; no space at the end of lines. */
void table_print(const struct table *table, FILE *out, bool colours);

/** Rows alone, tabs between the cells. */
void table_print_plain(const struct table *table, FILE *out);

/** First column as "header: cell", one line each cell: for a single entry. */
void table_print_vertical(const struct table *table, FILE *out, bool colours);

/** Prints @text in @colour, if @colours. */
void colour_print(FILE *out, const char *text, enum colour colour, bool colours);

#endif
