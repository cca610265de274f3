/*
 * validate_arms.c
 *	  The arms that an experiment names, their planned shares and settings, and its own
 *	  name: can the columns of the events hold them?
 *
 * Arms are compared as text, as a cast of the column writes it: an arm that no value
 * of the column's type is written as has no event, ever.  What a running experiment
 * has is asked again only when one of the columns involved changes.
 */
#include "catalog/validate.h"

#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "catalog/expression.h"
#include "utils/typcache.h"

#define MOST_ARMS 100

/* Labels of an enum that a hint names. */
#define MOST_LABELS 20

/* ---- shares and parameter ------------------------------------------------- */

/* A JSON object of arms; example: what it looks like. */
static void
check_object(const Row *row, const char *column, const char *what, const char *example)
{
	const char *args[] = {gr_row_text(row, column)};

	gr_spi_query("SELECT pg_catalog.jsonb_typeof($1::jsonb)", true, 1, args);
	if (strcmp(gr_spi_text(0, 1), "object") != 0)
		gr_refuse(row, column, psprintf("Set it to a JSON object of variants and their %s, such as %s; its JSON type is %s.",
										what, example, gr_spi_text(0, 1)));
}

/*
 * The first arm, in order, whose value is not a number for which a condition on x
 * holds; false: there is none.
 */
static bool
find_bad_number(const char *object, const char *condition, char **arm, char **value, char **type)
{
	const char *args[] = {object};

	gr_spi_query(psprintf("SELECT key, value::text, pg_catalog.jsonb_typeof(value) FROM pg_catalog.jsonb_each($1::jsonb)"
						  " WHERE NOT CASE WHEN pg_catalog.jsonb_typeof(value) = 'number'"
						  " THEN (SELECT %s FROM (SELECT value::numeric) AS v(x)) ELSE false END"
						  " ORDER BY key COLLATE \"C\" LIMIT 1", condition), true, 1, args);
	if (SPI_processed == 0)
		return false;
	*arm = gr_spi_text(0, 1);
	*value = gr_spi_text(0, 2);
	*type = gr_spi_text(0, 3);
	return true;
}

static int64
count_arms(const char *object)
{
	const char *args[] = {object};

	gr_spi_query("SELECT count(*) FROM pg_catalog.jsonb_object_keys($1::jsonb)", true, 1, args);
	return gr_spi_int8(0, 1, 0);
}

/* An arm of object a that is not in object b, or NULL. */
static char *
arm_not_in(const char *a, const char *b)
{
	const char *args[] = {a, b};

	gr_spi_query("SELECT key FROM pg_catalog.jsonb_object_keys($1::jsonb) AS key"
				 " WHERE NOT pg_catalog.jsonb_exists($2::jsonb, key) ORDER BY key COLLATE \"C\" LIMIT 1", true, 2, args);
	return SPI_processed > 0 ? gr_spi_text(0, 1) : NULL;
}

void
gr_check_shares(const Row *row)
{
	char	   *shares = gr_row_text(row, "shares");
	const char *example = "{\"control\": 1, \"treatment\": 1}";
	const char *args[] = {shares, gr_row_text(row, "control")};
	char	   *arm,
			   *value,
			   *type;
	int64		n;

	if (shares == NULL)
		return;
	check_object(row, "shares", "planned shares", example);
	n = count_arms(shares);
	if (n < 2)
		gr_refuse(row, "shares", psprintf("It names %s. Give the planned shares of the control and of at least one other variant, such as %s.",
										  n == 0 ? "no variant" : "one variant", example));
	if (n > MOST_ARMS)
		gr_refuse(row, "shares", psprintf("It names " INT64_FORMAT " variants. Name at most %d.", n, MOST_ARMS));
	if (find_bad_number(shares, "x > 0", &arm, &value, &type))
		gr_refuse(row, "shares", strcmp(type, "number") == 0 ?
				  psprintf("The share of variant \"%s\" is %s. Use a number above 0, and leave out variants that get no units.", arm, value) :
				  psprintf("The share of variant \"%s\" is %s, of JSON type %s. Write a number without quotes or a per cent sign, "
						   "such as 50 or 0.5.", arm, value, type));
	if (find_bad_number(shares, "x BETWEEN 1e-9 AND 1e9", &arm, &value, &type))
		gr_refuse(row, "shares", psprintf("The share of variant \"%s\" is %s. Use a number between 1e-9 and 1e9.", arm, value));
	gr_spi_query("SELECT pg_catalog.jsonb_exists($1::jsonb, $2), (SELECT pg_catalog.string_agg(pg_catalog.format('\"%s\"', k.key), ', ' ORDER BY k.key COLLATE \"C\")"
				 " FROM pg_catalog.jsonb_object_keys($1::jsonb) AS k(key))", true, 2, args);
	if (args[1] && !gr_spi_bool(0, 1))
		gr_refuse(row, "shares", psprintf("The control \"%s\" has no share. Add its share, or set column \"control\" to one of %s.",
										  args[1], gr_spi_text(0, 2)));
}

void
gr_check_parameter(const Row *row)
{
	char	   *parameter = gr_row_text(row, "parameter");
	char	   *shares = gr_row_text(row, "shares");
	const char *example = "{\"control\": 0, \"low\": 0.5, \"high\": 1}";
	char	   *arm,
			   *value,
			   *type;
	int64		n;

	if (parameter == NULL)
		return;
	check_object(row, "parameter", "settings", example);
	n = count_arms(parameter);
	if (n == 0 || n > MOST_ARMS)
		gr_refuse(row, "parameter", psprintf("It names " INT64_FORMAT " variants. Name 1 to %d variants with their settings, such as %s.",
											 n, MOST_ARMS, example));
	if (find_bad_number(parameter, "x = 0 OR pg_catalog.abs(x) BETWEEN 1e-100 AND 1e100", &arm, &value, &type))
		gr_refuse(row, "parameter", strcmp(type, "number") == 0 ?
				  psprintf("The setting of variant \"%s\" is out of range. Use 0 or a number between 1e-100 and 1e100 in size.", arm) :
				  psprintf("The setting of variant \"%s\" is %s, of JSON type %s. Write a number without quotes, such as 0.5.",
						   arm, value, type));
	/* a plan that names its arms has no others */
	arm = shares ? arm_not_in(parameter, shares) : NULL;
	if (arm)
		gr_refuse(row, "parameter", psprintf("Column \"shares\" does not name variant \"%s\". Add its share, or remove its setting.", arm));
}

/* ---- what a column can hold ------------------------------------------------ */

/* A column, and a text that it should be able to hold. */
typedef struct HeldWork
{
	Oid			owner;
	Oid			relation;
	const char *column;
	Oid			type;
	int32		typmod;
	const char *text;
	char	   *held;			/* how the column's type writes it */
	bool		whole;			/* nothing of it was rounded off */
} HeldWork;

/* As a cast to text writes it. */
static char *
written(Oid type, Datum value)
{
	Oid			base = getBaseType(type),
				function;
	bool		varlena;
	char	   *text;

	if (base == BOOLOID)
		return pstrdup(DatumGetBool(value) ? "true" : "false");
	getTypeOutputInfo(type, &function, &varlena);
	text = OidOutputFunctionCall(function, value);
	if (base == BPCHAROID)
		for (int n = (int) strlen(text); n > 0 && text[n - 1] == ' ';)
			text[--n] = '\0';
	return text;
}

/* Of a domain this runs its constraints: with the rights of the experiment's owner. */
static void
read_text(void *arg)
{
	HeldWork   *w = arg;
	OwnerContext saved;
	Oid			function,
				parameter;
	Datum		value;

	gr_owner_enter(&saved, w->owner);
	getTypeInputInfo(w->type, &function, &parameter);
	value = OidInputFunctionCall(function, pstrdup(w->text), parameter, w->typmod);
	w->held = written(w->type, value);
	w->whole = w->typmod < 0 ||
		DatumGetBool(FunctionCall2Coll(&lookup_type_cache(getBaseType(w->type), TYPECACHE_EQ_OPR_FINFO)->eq_opr_finfo,
									   DEFAULT_COLLATION_OID, value,
									   OidInputFunctionCall(function, pstrdup(w->text), parameter, -1)));
	gr_owner_leave(&saved);
}

/* "holds \"A\" and \"B\"" */
static char *
describe_enum(Oid type)
{
	const char *args[] = {psprintf("%u", type)};

	gr_spi_query(psprintf("SELECT pg_catalog.string_agg(CASE WHEN n <= %d THEN pg_catalog.format('\"%%s\"', enumlabel) ELSE '...' END, ', ' ORDER BY n)"
						  " FROM (SELECT enumlabel, row_number() OVER (ORDER BY enumsortorder) AS n FROM pg_catalog.pg_enum"
						  " WHERE enumtypid = $1::oid) AS l WHERE n <= %d + 1", MOST_LABELS, MOST_LABELS), true, 1, args);
	return psprintf("holds %s", gr_spi_text(0, 1) ? gr_spi_text(0, 1) : "nothing");
}

/* What a column can hold, in words. */
static char *
describe(const HeldWork *w)
{
	int32		typmod = w->typmod;
	Oid			base = getBaseTypeAndTypmod(w->type, &typmod);

	if (type_is_enum(base))
		return describe_enum(base);
	switch (base)
	{
		case BOOLOID:
			return pstrdup("holds \"true\" and \"false\"");
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return pstrdup("holds whole numbers, such as 7 (not 07 or +7)");
		case VARCHAROID:
		case BPCHAROID:
			if (typmod >= (int32) VARHDRSZ)
				return psprintf("holds at most %d characters%s", typmod - (int32) VARHDRSZ,
								base == BPCHAROID ? ", blanks at the end left out" : "");
			break;
		case NAMEOID:
			return psprintf("holds at most %d bytes", NAMEDATALEN - 1);
	}
	return pstrdup("cannot hold it");
}

/* Types whose values are compared with a literal as such, in whatever way that is written. */
static bool
is_compared_by_value(Oid type)
{
	Oid			base = getBaseType(type);

	return !(base == TEXTOID || base == VARCHAROID || base == BPCHAROID || base == NAMEOID || base == CHAROID || base == BOOLOID ||
			 base == INT2OID || base == INT4OID || base == INT8OID || type_is_enum(base));
}

/* what: "variant", "experiment"; an error unless a column can hold its name. */
static void
require_held(const Row *row, const char *of, const char *what, HeldWork *w)
{
	if (w->type == TEXTOID)
		return;
	w->held = NULL;
	if (gr_attempt(read_text, w) == NULL &&
		(is_compared_by_value(w->type) ? w->whole : strcmp(w->held, w->text) == 0))
		return;
	gr_refuse(row, of, psprintf("No row can contain %s \"%s\": column \"%s\" of %s is of type %s, which %s. Use a name that the column can hold.",
								what, w->text, w->column, gr_relation_name(w->relation),
								format_type_with_typemod(w->type, w->typmod), describe(w)));
}

/* A column of a relation that row names; false: it has none. */
static bool
find_column(const Row *row, Oid relation, const char *column, HeldWork *w)
{
	bool		null;
	AttrNumber	number;
	Oid			collation;

	w->column = gr_row_text(row, column);
	number = w->column ? get_attnum(relation, w->column) : InvalidAttrNumber;
	if (number <= 0)
		return false;
	w->owner = DatumGetObjectId(gr_row_datum(row, "owner", &null));
	w->relation = relation;
	get_atttypetypmodcoll(relation, number, &w->type, &w->typmod, &collation);
	return true;
}

static void
check_arms(const Row *row, Oid relation)
{
	static const char *const objects[] = {"shares", "parameter", NULL};
	HeldWork	w = {0};

	if (!find_column(row, relation, "variant_column", &w))
		return;
	w.text = gr_row_text(row, "control");
	require_held(row, "control", "variant", &w);
	for (int i = 0; objects[i]; i++)
	{
		const char *args[] = {gr_row_text(row, objects[i])};
		char	  **arms;
		int			n;

		if (args[0] == NULL)
			continue;
		gr_spi_query("SELECT pg_catalog.jsonb_object_keys($1::jsonb)", true, 1, args);
		n = (int) SPI_processed;
		arms = palloc(sizeof(char *) * Max(n, 1));
		for (int k = 0; k < n; k++)
			arms[k] = gr_spi_text(k, 1);
		for (int k = 0; k < n; k++)
		{
			w.text = arms[k];
			require_held(row, objects[i], "variant", &w);
		}
	}
}

static void
check_id(const Row *row, Oid relation)
{
	HeldWork	w = {0};

	if (!find_column(row, relation, "experiment_column", &w))
		return;
	if (!OidIsValid(lookup_type_cache(getBaseType(w.type), TYPECACHE_EQ_OPR)->eq_opr))
		gr_refuse(row, "experiment_column", psprintf("Set it to a column of a type that can be compared; %s cannot.",
													 format_type_be(w.type)));
	w.text = gr_row_text(row, "experiment_id");
	require_held(row, "experiment_id", "experiment", &w);
}

void
gr_check_names(const Row *row, Oid events, Oid exposures)
{
	static const char *const of_arms[] = {"control", "shares", "parameter", "variant_column", "events", "exposures", NULL};
	static const char *const of_id[] = {"experiment_id", "experiment_column", "events", "exposures", NULL};

	if (gr_row_changed(row, of_arms))
		check_arms(row, OidIsValid(exposures) ? exposures : events);
	if (!gr_row_changed(row, of_id))
		return;
	check_id(row, events);
	if (OidIsValid(exposures))
		check_id(row, exposures);
}
