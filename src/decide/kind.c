/*
 * kind.c
 *	  The table of metric kinds, and of the columns that only some of them have.
 */
#include "decide/kind.h"

#include <string.h>

#define BIT(column) (1u << GR_COLUMN_##column)

const GrRuleColumnRow gr_rule_columns[GR_RULE_COLUMNS] = {
	[GR_COLUMN_VALUE] = {.name = "value"},
	[GR_COLUMN_DENOMINATOR] = {.name = "denominator"},
	[GR_COLUMN_QUANTILE] = {.name = "quantile"},
	[GR_COLUMN_QUANTILE_OVER] = {.name = "quantile_over",.unset = "events"},
	[GR_COLUMN_UNIT_AGGREGATE] = {.name = "unit_aggregate",.unset = "sum",.users = "\"mean (or quantile over units)\""},
	[GR_COLUMN_COVARIATE] = {.name = "covariate",.users = "\"mean\", \"proportion\", \"ratio\" or \"retention\""},
	[GR_COLUMN_CAP_QUANTILE] = {.name = "cap_quantile"},
	[GR_COLUMN_CAP_VALUE] = {.name = "cap_value"},
	[GR_COLUMN_AT_LEAST] = {.name = "at_least"},
	[GR_COLUMN_RETENTION_DAY] = {.name = "retention_day"},
	[GR_COLUMN_RETENTION_TIME_ZONE] = {.name = "retention_time_zone"},
	[GR_COLUMN_WINDOW_LENGTH] = {.name = "window_length"}
};

#define COMMON (BIT(VALUE) | BIT(WINDOW_LENGTH))
#define ALL_VALUES "guardrail must read all events of a unit to find its different values"

const GrKind gr_kinds[GR_KINDS] = {
	{
		.name = "mean",
		.allowed = COMMON | BIT(UNIT_AGGREGATE) | BIT(COVARIATE) | BIT(CAP_QUANTILE) | BIT(CAP_VALUE),
		.required = BIT(VALUE),
		.keeps_scale = true,.grows = true,
		.of_units = SHAPE_VALUE,.of_averages = SHAPE_AVERAGE
	},
	{
		.name = "proportion",
		.allowed = COMMON | BIT(COVARIATE) | BIT(AT_LEAST),
		.required = BIT(VALUE),
		.is_share = true,.shows_early = true,
		.of_units = SHAPE_POSITIVE
	},
	{
		.name = "ratio",
		.allowed = COMMON | BIT(DENOMINATOR) | BIT(COVARIATE) | BIT(CAP_QUANTILE),
		.required = BIT(VALUE),
		.keeps_scale = true,
		.of_units = SHAPE_RATIO
	},
	{
		.name = "quantile",
		.allowed = COMMON | BIT(QUANTILE) | BIT(QUANTILE_OVER) | BIT(UNIT_AGGREGATE),
		.required = BIT(VALUE) | BIT(QUANTILE),
		.keeps_scale = true,.has_histogram = true,
		.of_events = SHAPE_EVENTS,.of_units = SHAPE_UNITS,.of_averages = SHAPE_UNITS_AVERAGE
	},
	{
		.name = "retention",
		.allowed = BIT(VALUE) | BIT(COVARIATE) | BIT(RETENTION_DAY) | BIT(RETENTION_TIME_ZONE),
		.required = BIT(RETENTION_DAY),
		.is_share = true,
		.of_units = SHAPE_POSITIVE
	},
	{
		.name = "distinct",
		.allowed = COMMON | BIT(COVARIATE),
		.required = BIT(VALUE),
		.takes_category = true,.grows = true,.unfollowed = ALL_VALUES,
		.of_units = SHAPE_DISTINCT
	},
	{
		.name = "entropy",
		.allowed = COMMON | BIT(COVARIATE),
		.required = BIT(VALUE),
		.takes_category = true,.unfollowed = ALL_VALUES,
		.of_units = SHAPE_ENTROPY
	}
};

const GrKind *
gr_kind_named(const char *name)
{
	for (int i = 0; name && i < GR_KINDS; i++)
		if (strcmp(gr_kinds[i].name, name) == 0)
			return &gr_kinds[i];
	return NULL;
}

/* The names of the kinds that may set all of some columns. */
static void
names_of(unsigned columns, const char *names[GR_KINDS + 1])
{
	int			n = 0;

	for (int i = 0; i < GR_KINDS; i++)
		if ((gr_kinds[i].allowed & columns) == columns)
			names[n++] = gr_kinds[i].name;
	names[n] = NULL;
}

void
gr_kind_names(const char *names[GR_KINDS + 1])
{
	names_of(0, names);
}

void
gr_kinds_allowing(GrRuleColumn column, const char *names[GR_KINDS + 1])
{
	names_of(1u << column, names);
}

bool
gr_kind_allows(const GrKind *kind, GrRuleColumn column)
{
	return (kind->allowed >> column) & 1;
}

bool
gr_kind_requires(const GrKind *kind, GrRuleColumn column)
{
	return (kind->required >> column) & 1;
}

GrShapeLetter
gr_kind_shape(const GrKind *kind, bool over_units, bool averaged)
{
	if (kind->of_events && !over_units)
		return kind->of_events;
	return kind->of_averages && averaged ? kind->of_averages : kind->of_units;
}
