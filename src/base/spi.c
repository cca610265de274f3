/*
 * spi.c
 *	  Small helpers over SPI.
 *
 * Parameters are always text, so every statement casts them ($1::bigint); the
 * results of a query are read column by column as the C type asked for.
 *
 * Whoever calls may have any search path, with operators and functions of others
 * in it that fit better than those of pg_catalog: no statement sees it.
 */
#include "base/rights.h"
#include "base/spi.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

void
gr_set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
gr_spi_query(const char *sql, bool read_only, int nargs, const char *const *args)
{
	Oid			types[FUNC_MAX_ARGS];
	Datum		values[FUNC_MAX_ARGS];
	char		nulls[FUNC_MAX_ARGS + 1] = "";
	MemoryContext here = CurrentMemoryContext;
	ErrorContextCallback callback = {error_context_stack, gr_hint_at_rights, here};
	int			level;
	int			code;

	/* rows of the last query: they would stay until SPI_finish */
	if (SPI_tuptable)
		SPI_freetuptable(SPI_tuptable);
	Assert(nargs <= FUNC_MAX_ARGS);
	for (int i = 0; i < nargs; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = args[i] ? ' ' : 'n';
		values[i] = args[i] ? CStringGetTextDatum(args[i]) : (Datum) 0;
	}
	level = NewGUCNestLevel();
	gr_set_local("search_path", GR_SEARCH_PATH);
	error_context_stack = &callback;
	code = SPI_execute_with_args(sql, nargs, types, values, nulls, read_only, 0);
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, level);
	if (code < 0)
		elog(ERROR, "%s in \"%s\"", SPI_result_code_string(code), sql);
	/* SPI leaves its own context current, which SPI_finish deletes */
	MemoryContextSwitchTo(here);
}

char *
gr_spi_text(int row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static Datum
binary_value(int row, int column, Oid type, bool *null)
{
	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) != type)
		elog(ERROR, "column %d is of type %u, not %u", column,
			 SPI_gettypeid(SPI_tuptable->tupdesc, column), type);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

double
gr_spi_float8(int row, int column, double null_value)
{
	bool		null;
	Datum		d = binary_value(row, column, FLOAT8OID, &null);

	return null ? null_value : DatumGetFloat8(d);
}

int64
gr_spi_int8(int row, int column, int64 null_value)
{
	bool		null;
	Datum		d = binary_value(row, column, INT8OID, &null);

	return null ? null_value : DatumGetInt64(d);
}

bool
gr_spi_bool(int row, int column)
{
	bool		null;
	Datum		d = binary_value(row, column, BOOLOID, &null);

	return !null && DatumGetBool(d);
}
