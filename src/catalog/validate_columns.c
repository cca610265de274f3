/*
 * validate_columns.c
 *	  Do the events, and the assignment table, have the columns that an experiment
 *	  names, and are they of types that can be worked with?
 */
#include "catalog/validate.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "parser/parse_oper.h"
#include "catalog/expression.h"
#include "executor/spi.h"
#include "tcop/pquery.h"

/* Columns that an error lists. */
#define MOST_COLUMNS 40

GR_NORETURN static void
refuse_relation(const Row *row, const char *column)
{
	gr_refuse(row, column, "Set it to a table, partitioned table, view, "
			  "materialized view or foreign table.");
}

/* A relation that has rows to read; one that is not there is for the caller to say. */
static bool
has_rows(Oid relation)
{
	char		relkind = get_rel_relkind(relation);

	return relkind == '\0' || strchr("rpvmf", relkind) != NULL;
}

/*
 * Is a dump's data being copied in?  Its rows come all or none: one whose table has
 * become something else must not keep the others out.  A check of it fails by itself.
 */
static bool
is_copied_by_restore(const Row *row)
{
	return gr_in_restore(row->relation) && ActivePortal && ActivePortal->commandTag == CMDTAG_COPY;
}

static void
check_relation(const Row *row, const char *column, Oid relation)
{
	if (get_rel_relkind(relation) == '\0')
		return;
	/* a dump of it could not be restored: there is no such table in any other session */
	if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
		gr_refuse(row, column, psprintf("%s is temporary, and checks run in other sessions. Set it to a permanent table or view.",
										quote_identifier(get_rel_name(relation))));
	if (!has_rows(relation) && !is_copied_by_restore(row))
		refuse_relation(row, column);
}

void
gr_check_relations(const Row *row, Oid events, Oid exposures)
{
	static const char *const columns[] = {"events", "exposures", NULL};

	if (!gr_row_changed(row, columns))
		return;
	check_relation(row, "events", events);
	check_relation(row, "exposures", exposures);
}

/* What is in no catalog has no columns either. */
static void
require_relation(const Row *row, const char *column, Oid relation)
{
	if (get_rel_relkind(relation) == '\0' || !has_rows(relation))
		refuse_relation(row, column);
}

/* Columns that are named and not there, of one relation. */
typedef struct Missing
{
	const Row  *row;
	Oid			relation;
	const char *what;			/* "events" */
	int			n;
	const char *names[8];		/* columns of the row, such as "unit_column" */
} Missing;

/* Whoever has not set one of these has the default, and may not know it. */
static bool
is_default(const Row *row, const char *column)
{
	static const char *const defaults[][2] = {{"experiment_column", "experiment_id"}, {"unit_column", "user_id"},
	{"variant_column", "variant"}, {"exposed_at_column", "exposed_at"}};

	for (int i = 0; i < (int) lengthof(defaults); i++)
		if (strcmp(column, defaults[i][0]) == 0)
			return gr_row_is(row, column, defaults[i][1]);
	return false;
}

static void
look_for(Missing *m, const char *column)
{
	char	   *name = gr_row_text(m->row, column);

	if (name && get_attnum(m->relation, name) <= 0)
		m->names[m->n++] = column;
}

/* The columns of a relation, the likeliest first; *meant: the one that may be meant, or NULL. */
static char *
list_columns(Oid relation, const char *wanted, const char **meant)
{
	const char *args[] = {psprintf("%u", relation)};
	const char **names;
	int			n;

	gr_spi_query("SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped"
				 " ORDER BY attnum", true, 1, args);
	n = (int) SPI_processed;
	names = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		names[i] = gr_spi_text(i, 1);
	*meant = gr_sort_by_likeness(wanted, names, n);
	return n > 0 ? gr_name_list(names, n, MOST_COLUMNS) : pstrdup("no columns");
}

/* Say all that is missing at once. */
static void
describe_missing(const Missing *m, StringInfo message, StringInfo detail, StringInfo hint)
{
	const char *meant;
	char	   *columns = NULL;

	if (m->n == 0)
		return;
	for (int i = 0; i < m->n; i++)
	{
		char	   *name = gr_row_text(m->row, m->names[i]);
		char	   *sorted = list_columns(m->relation, name, &meant);

		if (columns == NULL)
			columns = sorted;
		appendStringInfo(message, "%s%s%s \"%s\"", message->len ? "; " : "", m->names[i],
						 is_default(m->row, m->names[i]) ? ", by default" : "", name);
		if (meant)
			appendStringInfo(hint, " For %s, did you mean \"%s\"?", m->names[i], meant);
	}
	appendStringInfo(message, ": %s %s have no such column%s", m->what, gr_relation_name(m->relation), m->n > 1 ? "s" : "");
	appendStringInfo(detail, "%sThe %s have %s.", detail->len ? " " : "", m->what, columns);
}

static void
refuse_missing(const Row *row, Oid events, Oid exposures)
{
	bool		assigned = OidIsValid(exposures);
	Missing		of_events = {row, events, "events"};
	Missing		of_exposures = {row, exposures, "exposures"};
	StringInfoData message,
				detail,
				hint;

	look_for(&of_events, "unit_column");
	look_for(&of_events, "time_column");
	look_for(&of_events, "cursor_column");
	if (assigned)
	{
		look_for(&of_exposures, "experiment_column");
		look_for(&of_exposures, "unit_column");
		look_for(&of_exposures, "variant_column");
		look_for(&of_exposures, "exposed_at_column");
	}
	else
	{
		look_for(&of_events, "variant_column");
		look_for(&of_events, "experiment_column");
	}
	if (of_events.n + of_exposures.n == 0)
		return;
	initStringInfo(&message);
	initStringInfo(&detail);
	initStringInfo(&hint);
	describe_missing(&of_events, &message, &detail, &hint);
	describe_missing(&of_exposures, &message, &detail, &hint);
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("experiment \"%s\": %s", gr_row_text(row, "experiment_id"), message.data),
			 errdetail_internal("%s", detail.data),
			 errhint("Set %s%s.%s", of_events.n + of_exposures.n > 1 ? "them to columns that are there" : "it to a column that is there",
					 of_events.n > 0 && strcmp(of_events.names[of_events.n - 1], "experiment_column") == 0 ?
					 "; experiment_column NULL means that every row belongs to this experiment" : "", hint.data)));
}

static Oid
check_column(const Row *row, Oid relation, const char *column, bool required)
{
	char	   *name = gr_row_text(row, column);

	if (name == NULL && required)
		gr_refuse(row, column, psprintf("Set it to a column of %s.", gr_relation_name(relation)));
	return name ? gr_column_type(relation, name) : InvalidOid;
}

static void
check_unit(const Row *row, Oid unit)
{
	if (!gr_type_is_hashable(unit))
		gr_refuse(row, "unit_column", psprintf("Set it to a column of a type that can be hashed; %s cannot.",
											   format_type_be(unit)));
}

static void
check_variant(const Row *row, Oid variant)
{
	if (!(variant == TEXTOID || variant == VARCHAROID || variant == BPCHAROID ||
		  variant == NAMEOID || variant == BOOLOID || variant == INT2OID ||
		  variant == INT4OID || variant == INT8OID || type_is_enum(variant)))
		gr_refuse(row, "variant_column",
				  psprintf("Set it to a column of type text, enum, integer or boolean, not %s.",
						   format_type_be(variant)));
}

static void
check_time(const Row *row, const char *column, Oid time)
{
	if (OidIsValid(time) && time != TIMESTAMPTZOID && time != TIMESTAMPOID && time != DATEOID)
		gr_refuse(row, column,
				  psprintf("Set it to a column of type timestamptz, timestamp or date, not %s.",
						   format_type_be(time)));
}

/* The assignment table, which units are joined to their events from. */
static void
check_exposures(const Row *row, Oid exposures, Oid unit_of_events)
{
	Oid			unit;

	unit = check_column(row, exposures, "unit_column", true);
	check_unit(row, unit);
	check_variant(row, check_column(row, exposures, "variant_column", true));
	check_column(row, exposures, "experiment_column", false);
	check_time(row, "exposed_at_column", check_column(row, exposures, "exposed_at_column", true));
	if (!OidIsValid(compatible_oper_opid(list_make1(makeString("=")), unit_of_events, unit, true)))
		gr_refuse(row, "unit_column",
				  psprintf("Set it to a column whose types can be compared: it is of type %s in the events and %s in the exposures.",
						   format_type_be(unit_of_events), format_type_be(unit)));
	if (gr_row_text(row, "time_column") == NULL)
		gr_refuse(row, "time_column", "Set it to the column with the time of the event: "
				  "with exposures, only events at or after a unit's exposure count.");
}

void
gr_check_columns(const Row *row, Oid events, Oid exposures)
{
	Oid			unit,
				time;

	require_relation(row, "events", events);
	if (OidIsValid(exposures))
		require_relation(row, "exposures", exposures);
	refuse_missing(row, events, exposures);
	unit = check_column(row, events, "unit_column", true);
	time = check_column(row, events, "time_column", false);
	check_time(row, "time_column", time);
	if (OidIsValid(exposures))
	{
		check_exposures(row, exposures, unit);
		return;
	}
	check_unit(row, unit);
	check_variant(row, check_column(row, events, "variant_column", true));
	check_column(row, events, "experiment_column", false);
	if ((gr_row_text(row, "starts_at") || gr_row_text(row, "ends_at")) && !OidIsValid(time))
		gr_refuse(row, "time_column", "Set it to the column with the time of the event: starts_at and ends_at need it.");
}
