/*
 * spi.h
 *	  Small helpers over SPI (spi.c).
 */
#ifndef GR_SPI_H
#define GR_SPI_H

#include "base/guardrail.h"

/* SPI helpers: a column of row 0.. of SPI_tuptable as C values (spi.c). */
extern char *gr_spi_text(int row, int column);
extern double gr_spi_float8(int row, int column, double null_value);
extern int64 gr_spi_int8(int row, int column, int64 null_value);
extern bool gr_spi_bool(int row, int column);

/* The only search path that statements of the extension run under. */
#define GR_SEARCH_PATH "pg_catalog, pg_temp"

/* Set a setting until the GUC nest level ends. */
extern void gr_set_local(const char *name, const char *value);

/*
 * Run a query through SPI with text parameters ($1 .. $n, NULL allowed), under
 * GR_SEARCH_PATH whatever the caller's is.
 */
extern void gr_spi_query(const char *sql, bool read_only, int nargs,
						 const char *const *args);

#endif							/* GR_SPI_H */
