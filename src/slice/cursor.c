/*
 * cursor.c
 *	  The cursor column: may it be followed, and up to where have all events come?
 *
 * Of an integer a transaction draws its values after it has locked the events for
 * writing, and until it ends it keeps the lock.  So once the transactions that hold
 * such a lock now have ended, no event at or below a value seen now is still to
 * come.  Of those that do not end soon nothing is stored that lies above the position:
 * it is read anew until they have.  Who draws values before he inserts (hands out
 * numbers of his own) breaks this, as does CACHE.
 *
 * Of a time, no event is still to come below the start of the oldest transaction
 * that runs: its default (now(), clock_timestamp()) is not before that start.
 * Writers are not waited for.
 */
#include "slice/stored.h"
#include "base/writers.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/backend_status.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/*
 * A transaction takes its start time a moment before others can see that it runs;
 * and a time without time zone may be that of any zone, the last at UTC-12.
 */
#define START_MARGIN (10 * USECS_PER_SEC)
#define ZONE_MARGIN (12 * USECS_PER_HOUR)

/* ---- may it be followed? ------------------------------------------------------- */

static void
refuse(const char *id, const char *column, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"cursor_column\" of experiment \"%s\" holds \"%s\": %s", id, column, why),
			 errhint("%s", hint)));
}

/* Only of tables can writers be known. */
static void
check_relations(Oid events, const char *id, const char *column)
{
	ListCell   *cell;

	foreach(cell, find_all_inheritors(events, AccessShareLock, NULL))
	{
		Oid			relation = lfirst_oid(cell);
		char		relkind = get_rel_relkind(relation);

		if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
			refuse(id, column, psprintf("%s is not a table", gr_relation_name(relation)),
				   "Leave cursor_column NULL for views, materialized views and foreign tables; "
				   "guardrail follows cursors in tables and partitioned tables only.");
		if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
			refuse(id, column, psprintf("%s is a temporary table", get_rel_name(relation)),
				   "Leave cursor_column NULL: other sessions cannot read the table.");
	}
}

static Oid
check_type(Oid events, const char *id, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(events, column);
	Form_pg_attribute attribute;
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		refuse(id, column, psprintf("%s has no such column", gr_relation_name(events)),
			   "Set it to a column of the events.");
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	type = getBaseType(attribute->atttypid);
	if (type != INT2OID && type != INT4OID && type != INT8OID &&
		type != TIMESTAMPTZOID && type != TIMESTAMPOID)
		refuse(id, column, psprintf("it is of type %s", format_type_be(attribute->atttypid)),
			   "Set it to a column of type bigint, integer, smallint, timestamptz or timestamp.");
	if (!attribute->attnotnull)
		refuse(id, column, "the column accepts NULL", "Run ALTER TABLE ... ALTER COLUMN ... SET NOT NULL: "
			   "events without a cursor value would never be read.");
	ReleaseSysCache(tuple);
	return type;
}

/* The sequences that the column's defaults draw from, in all partitions. */
static void
check_sequences(Oid events, const char *id, const char *column)
{
	StringInfoData list;
	ListCell   *cell;
	const char *args[2] = {NULL, column};

	initStringInfo(&list);
	foreach(cell, find_all_inheritors(events, NoLock, NULL))
		appendStringInfo(&list, "%s%u", list.len ? "," : "{", lfirst_oid(cell));
	appendStringInfoChar(&list, '}');
	args[0] = list.data;
	gr_spi_query("SELECT s.seqrelid::pg_catalog.regclass::text, s.seqcache, s.seqcycle, s.seqincrement"
				 " FROM pg_catalog.pg_sequence s WHERE s.seqrelid IN ("
				 "SELECT d.objid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_depend d"
				 " ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid"
				 " AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
				 " AND d.deptype = 'i' WHERE a.attrelid = ANY ($1::oid[]) AND a.attname = $2"
				 " UNION ALL "
				 "SELECT d.refobjid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef f"
				 " ON f.adrelid = a.attrelid AND f.adnum = a.attnum JOIN pg_catalog.pg_depend d"
				 " ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid"
				 " AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
				 " WHERE a.attrelid = ANY ($1::oid[]) AND a.attname = $2) ORDER BY 1", true, 2, args);
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		char	   *name = gr_spi_text(i, 1);

		if (gr_spi_int8(i, 2, 1) > 1)
			refuse(id, column, psprintf("its sequence %s has CACHE " INT64_FORMAT, name, gr_spi_int8(i, 2, 1)),
				   "Run ALTER SEQUENCE ... CACHE 1: sessions use cached values after other sessions have used greater ones.");
		if (gr_spi_bool(i, 3))
			refuse(id, column, psprintf("its sequence %s has CYCLE", name),
				   "Run ALTER SEQUENCE ... NO CYCLE: a cursor must only grow.");
		if (gr_spi_int8(i, 4, 1) < 0)
			refuse(id, column, psprintf("its sequence %s has a negative increment", name),
				   "Run ALTER SEQUENCE ... INCREMENT BY 1: a cursor must only grow.");
	}
	if (SPI_processed > 1)
		refuse(id, column, psprintf("its values come from more than one sequence: %s and %s",
									gr_spi_text(0, 1), gr_spi_text(1, 1)),
			   "Use one sequence for all partitions: with several, a row can arrive after "
			   "rows with greater values.");
}

/* Does an index begin with the column, or with experiment_column and it? */
static void
find_index(Cursor *c, Oid events, const char *experiment_column, const char *column)
{
	const char *args[] = {psprintf("%u", events),
		psprintf("%d", get_attnum(events, column)),
		psprintf("%d", experiment_column ? get_attnum(events, experiment_column) : 0)};

	gr_spi_query("SELECT COALESCE(pg_catalog.bool_or(indkey[0] = $2::smallint), false),"
				 " COALESCE(pg_catalog.bool_or(indkey[0] = $3::smallint AND indkey[1] = $2::smallint), false)"
				 " FROM pg_catalog.pg_index WHERE indrelid = $1::oid AND indisvalid AND indpred IS NULL",
				 true, 3, args);
	c->leads_index = gr_spi_bool(0, 1);
	c->follows_index = gr_spi_bool(0, 2);
}

Cursor *
gr_cursor_open(Oid events, const char *experiment_column, const char *column, const char *id)
{
	Cursor	   *c = palloc0(sizeof(Cursor));

	check_relations(events, id, column);
	c->basetype = check_type(events, id, column);
	check_sequences(events, id, column);
	find_index(c, events, experiment_column, column);
	c->column = quote_identifier(column);
	c->type = format_type_be(c->basetype);
	return c;
}

char *
gr_cursor_range(const Cursor *c, const char *from, const char *to)
{
	char	   *lower = from ? psprintf("%s > %s::%s", c->column, quote_literal_cstr(from), c->type) : NULL;
	char	   *upper = to ? psprintf("%s <= %s::%s", c->column, quote_literal_cstr(to), c->type) : NULL;

	if (lower && upper)
		return psprintf("%s AND %s", lower, upper);
	return lower ? lower : upper ? upper : pstrdup("true");
}

/* ---- up to where? --------------------------------------------------------------- */

static bool
is_time(const Cursor *c)
{
	return c->basetype == TIMESTAMPTZOID || c->basetype == TIMESTAMPOID;
}

/* As the experiment's owner: the one value of a statement, as text. */
static char *
query(const Experiment *e, const char *sql, int nargs, const char *const *args)
{
	OwnerContext saved;
	char	   *value;

	gr_owner_enter(&saved, e->owner);
	gr_spi_query(sql, true, nargs, args);
	value = SPI_processed > 0 ? gr_spi_text(0, 1) : NULL;
	gr_owner_leave(&saved);
	return value;
}

/* When the oldest transaction of this database began; 0: it is not known. */
static TimestampTz
oldest_start(void)
{
	TimestampTz oldest = Min(GetCurrentTimestamp(), GetCurrentTransactionStartTimestamp());
	int			n;

	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = GR_LOCAL_BEENTRY(i);
		PgBackendStatus *backend = local ? &local->backendStatus : NULL;

		if (backend == NULL || backend->st_databaseid != MyDatabaseId ||
			backend->st_backendType == B_AUTOVAC_WORKER)
			continue;
		/* track_activities is off there */
		if (backend->st_state == STATE_DISABLED)
			return 0;
		if (backend->st_xact_start_timestamp != 0)
			oldest = Min(oldest, backend->st_xact_start_timestamp);
	}
	return oldest;
}

static char *
upper_time(const Stored *s)
{
	const Cursor *c = s->cursor;
	OwnerContext saved;
	TimestampTz upper = oldest_start();
	bool		prepared;
	char	   *text;
	const char *args[2];

	/* what is prepared is written, who knows when it began */
	(void) gr_writers(s->e->events, &prepared);
	if (upper == 0 || prepared)
		return NULL;
	upper -= START_MARGIN + (c->basetype == TIMESTAMPOID ? ZONE_MARGIN : 0);
	gr_owner_enter(&saved, s->e->owner);
	text = DatumGetCString(c->basetype == TIMESTAMPOID ?
						   DirectFunctionCall1(timestamp_out, TimestampGetDatum(upper)) :
						   DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(upper)));
	gr_owner_leave(&saved);
	args[0] = text;
	args[1] = s->position;
	if (s->position && strcmp(query(s->e, psprintf("SELECT ($1::%s > $2::%s)::text", c->type, c->type),
											  2, args), "true") != 0)
		return NULL;
	return text;
}

/* The greatest value, or that from the stored position on. */
static char *
greatest(const Stored *s, bool from_position)
{
	const Cursor *c = s->cursor;
	StringInfoData buf;
	const char *word = "WHERE";

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT max(%s)::text FROM %s", c->column, gr_relation_name(s->e->events));
	if (from_position)
	{
		appendStringInfo(&buf, " %s %s >= %s::%s", word, c->column, quote_literal_cstr(s->position), c->type);
		word = "AND";
	}
	if (!c->leads_index && c->follows_index)
		appendStringInfo(&buf, " %s %s = %s", word, quote_identifier(s->e->experiment_column),
						 quote_literal_cstr(s->e->id));
	return query(s->e, buf.data, 0, NULL);
}

static char *
upper_integer(const Stored *s, bool *reset)
{
	char	   *upper = greatest(s, s->position != NULL);

	/* the last event that was read is gone: have others come in its place? */
	if (upper == NULL && s->position)
	{
		*reset = true;
		upper = greatest(s, false);
	}
	if (upper == NULL || (s->position && strcmp(upper, s->position) == 0))
		return NULL;
	if (gr_wait_for_writers(s->e->events))
		return upper;
	ereport(NOTICE,
			(errmsg("new events of experiment \"%s\" are read but not stored, because a transaction that writes events has not ended",
					s->e->id),
			 errhint("Look for it in pg_stat_activity and pg_prepared_xacts. A later check stores the events once it has ended.")));
	return NULL;
}

char *
gr_cursor_upper(const Stored *s, bool *reset)
{
	*reset = false;
	return is_time(s->cursor) ? upper_time(s) : upper_integer(s, reset);
}

char *
gr_cursor_between(const Stored *s, const char *from, const char *to)
{
	const Cursor *c = s->cursor;
	const char *args[2] = {from, to};

	if (from == NULL)
		args[0] = query(s->e, psprintf("SELECT min(%s)::text %s", c->column, gr_sql_from(s->e)),
								  0, NULL);
	if (args[0] == NULL)
		return NULL;
	return query(s->e, is_time(c) ?
						   psprintf("SELECT m::text FROM (SELECT $1::%s + ($2::%s - $1::%s) / 2) AS x(m)"
									" WHERE m > $1::%s AND m < $2::%s", c->type, c->type, c->type, c->type, c->type) :
						   "SELECT m::text FROM (SELECT pg_catalog.floor(($1::numeric + $2::numeric) / 2)) AS x(m)"
						   " WHERE m >= $1::numeric AND m < $2::numeric", 2, args);
}
