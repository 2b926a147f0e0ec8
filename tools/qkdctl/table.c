// SPDX-License-Identifier: GPL-2.0-or-later
#include "table.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cell {
	char *text;
	enum colour colour;
};

struct table {
	size_t columns;
	size_t rows;
	size_t room;
	struct cell *headers;
	bool *right;
	struct cell *cells; /* rows * columns */
};

struct table *table_new(size_t columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->headers = calloc(columns, sizeof(*table->headers));
	table->right = calloc(columns, sizeof(*table->right));
	if (table->headers && table->right)
		return table;
	table_free(table);
	return NULL;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; table->headers && i < table->columns; i++)
		free(table->headers[i].text);
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i].text);
	free(table->headers);
	free(table->right);
	free(table->cells);
	free(table);
}

/* What a peer or a file named must not move the cursor of a terminal. */
static char *clean_copy(const char *text)
{
	char *copy = strdup(text);

	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}

void table_header(struct table *table, size_t column, const char *text, bool right)
{
	free(table->headers[column].text);
	table->headers[column].text = clean_copy(text);
	table->headers[column].colour = COLOUR_BOLD;
	table->right[column] = right;
}

int table_row(struct table *table)
{
	if (table->rows == table->room) {
		size_t room = table->room ? table->room * 2 : 16;
		struct cell *cells =
			reallocarray(table->cells, room * table->columns, sizeof(*table->cells));

		if (!cells)
			return -ENOMEM;
		table->cells = cells;
		table->room = room;
	}
	memset(table->cells + table->rows * table->columns, 0,
	       table->columns * sizeof(*table->cells));
	table->rows++;
	return 0;
}

int table_cell(struct table *table, size_t column, const char *text, enum colour colour)
{
	struct cell *cell = &table->cells[(table->rows - 1) * table->columns + column];

	free(cell->text);
	cell->text = clean_copy(text);
	cell->colour = colour;
	return cell->text ? 0 : -ENOMEM;
}

static const char *text_of(const struct cell *cell)
{
	return cell->text ? cell->text : "";
}

/* Columns that a terminal needs: UTF-8 continuation octets take none. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void colour_print(FILE *out, const char *text, enum colour colour, bool colours)
{
	static const char *const codes[] = {
		[COLOUR_GOOD] = "\033[32m", [COLOUR_WARN] = "\033[33m", [COLOUR_BAD] = "\033[31m",
		[COLOUR_BOLD] = "\033[1m",  [COLOUR_DIM] = "\033[2m",
	};

	if (colours && colour != COLOUR_NONE && *text)
		fprintf(out, "%s%s\033[0m", codes[colour], text);
	else
		fputs(text, out);
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t width = width_of(text_of(&table->headers[column]));

	for (size_t row = 0; row < table->rows; row++) {
		size_t w = width_of(text_of(&table->cells[row * table->columns + column]));

		width = w > width ? w : width;
	}
	return width;
}

static bool empty_behind(const struct table *table, const struct cell *cells, size_t column)
{
	for (size_t i = column; i < table->columns; i++)
		if (*text_of(&cells[i]))
			return false;
	return true;
}

static void print_line(const struct table *table, const struct cell *cells, const size_t *widths,
		       FILE *out, bool colours)
{
	for (size_t i = 0; i < table->columns && !empty_behind(table, cells, i); i++) {
		const char *text = text_of(&cells[i]);
		int pad = (int)(widths[i] - width_of(text));

		if (i)
			fputs("  ", out);
		if (table->right[i])
			fprintf(out, "%*s", pad, "");
		colour_print(out, text, cells[i].colour, colours);
		if (!table->right[i] && !empty_behind(table, cells, i + 1))
			fprintf(out, "%*s", pad, "");
	}
	fputc('\n', out);
}

void table_print(const struct table *table, FILE *out, bool colours)
{
	size_t *widths = calloc(table->columns, sizeof(*widths));

	if (!widths)
		return;
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = column_width(table, i);
	print_line(table, table->headers, widths, out, colours);
	for (size_t row = 0; row < table->rows; row++)
		print_line(table, table->cells + row * table->columns, widths, out, colours);
	free(widths);
}

void table_print_plain(const struct table *table, FILE *out)
{
	for (size_t row = 0; row < table->rows; row++) {
		for (size_t i = 0; i < table->columns; i++)
			fprintf(out, "%s%s", i ? "\t" : "",
				text_of(&table->cells[row * table->columns + i]));
		fputc('\n', out);
	}
}

void table_print_vertical(const struct table *table, FILE *out, bool colours)
{
	size_t width = 0;

	for (size_t i = 0; i < table->columns; i++) {
		size_t w = width_of(text_of(&table->headers[i]));

		width = w > width ? w : width;
	}
	for (size_t row = 0; row < table->rows; row++) {
		for (size_t i = 0; i < table->columns; i++) {
			const struct cell *cell = &table->cells[row * table->columns + i];
			const char *header = text_of(&table->headers[i]);

			if (!*text_of(cell))
				continue;
			colour_print(out, header, COLOUR_BOLD, colours);
			fprintf(out, ":%*s", (int)(width - width_of(header) + 1), "");
			colour_print(out, text_of(cell), cell->colour, colours);
			fputc('\n', out);
		}
	}
}
