/*
 * kind.h
 *	  The kinds of metrics: what each is, as one row of a table.
 *
 * No other code asks which kind a rule has: it asks the row.  A new kind is one row
 * here, and one in units/shape.c when its units are observed as no other kind's are.
 */
#ifndef GR_KIND_H
#define GR_KIND_H

#include <stdbool.h>

/* Columns of guardrail_rule that only some kinds may set; gr_rule_columns describes them. */
typedef enum GrRuleColumn
{
	GR_COLUMN_VALUE,
	GR_COLUMN_DENOMINATOR,
	GR_COLUMN_QUANTILE,
	GR_COLUMN_QUANTILE_OVER,
	GR_COLUMN_UNIT_AGGREGATE,
	GR_COLUMN_COVARIATE,
	GR_COLUMN_CAP_QUANTILE,
	GR_COLUMN_CAP_VALUE,
	GR_COLUMN_AT_LEAST,
	GR_COLUMN_RETENTION_DAY,
	GR_COLUMN_RETENTION_TIME_ZONE,
	GR_COLUMN_WINDOW_LENGTH,
	GR_RULE_COLUMNS
} GrRuleColumn;

typedef struct GrRuleColumnRow
{
	const char *name;
	const char *unset;			/* what a rule has that does not set it; NULL: NULL */
	const char *users;			/* the kinds that use it, for a hint; NULL: those that may set it */
} GrRuleColumnRow;

extern const GrRuleColumnRow gr_rule_columns[GR_RULE_COLUMNS];

#define GR_KINDS 7

typedef struct GrKind
{
	const char *name;			/* as guardrail_rule.kind has it */
	unsigned	allowed;		/* bits of GrRuleColumn that it may set, */
	unsigned	required;		/* and of those that it must set */
	/* what its metric is */
	bool		is_share;		/* of units, from 0 to 1 */
	bool		keeps_scale;	/* of flags it is from 0 to 1 too, unless they are totalled */
	bool		takes_category; /* its value is of any type that can be hashed, and no number */
	bool		has_histogram;
	bool		grows;			/* of a unit, while the unit takes part; an average does not */
	bool		shows_early;	/* the first events tell what share the control has */
	const char *unfollowed;		/* why a cursor cannot follow it; NULL: one can */
	/* the letters of its shapes (units/shape.c), 0 for none: */
	char		of_events;		/* over events, unless quantile_over is units */
	char		of_units;		/* over units */
	char		of_averages;	/* over units, by unit_aggregate avg */
} GrKind;

extern const GrKind gr_kinds[GR_KINDS];

/* The kind of that name; NULL: there is none. */
extern const GrKind *gr_kind_named(const char *name);

/* The names of all kinds, and NULL. */
extern void gr_kind_names(const char *names[GR_KINDS + 1]);

/* May, and must, a rule of the kind set the column? */
extern bool gr_kind_allows(const GrKind *kind, GrRuleColumn column);
extern bool gr_kind_requires(const GrKind *kind, GrRuleColumn column);

/* The names of the kinds that may set a column, and NULL. */
extern void gr_kinds_allowing(GrRuleColumn column, const char *names[GR_KINDS + 1]);

/* The letter of the shape that the metric has. */
extern char gr_kind_shape(const GrKind *kind, bool over_units, bool averaged);

#endif							/* GR_KIND_H */
