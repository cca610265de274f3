/*
 * kind.h
 *	  The kinds of metrics: what each is, as one row of a table.
 *
 * No other code asks which kind a rule has: it asks the row.  A new kind is one row
 * here, and one in spec/shape.c when its units are observed as no other kind's are.
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

/*
 * The letters of shapes (spec/shape.c): how folds of a unit's values, a and for some
 * b, become an observation.
 */
typedef enum GrShapeLetter
{
	SHAPE_NONE = 0,
	SHAPE_VALUE = 'v',			/* x = a */
	SHAPE_POSITIVE = 'p',		/* x = 1 if a > 0 (or a >= at_least), else 0 */
	SHAPE_AVERAGE = 'a',		/* x = a / b, no observation when b = 0 */
	SHAPE_RATIO = 'r',			/* x = a, y = b */
	SHAPE_EVENTS = 'e',			/* histogram of the events of list a */
	SHAPE_UNITS = 'u',			/* histogram over units of a */
	SHAPE_UNITS_AVERAGE = 'w',	/* histogram over units of a / b */
	SHAPE_DISTINCT = 'd',		/* x = number of different values in list a */
	SHAPE_ENTROPY = 'y'			/* x = entropy of the values in list a, in bits */
} GrShapeLetter;

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
	/* the shapes of its metric: */
	GrShapeLetter of_events;	/* over events, unless quantile_over is units */
	GrShapeLetter of_units;		/* over units */
	GrShapeLetter of_averages;	/* over units, by unit_aggregate avg */
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

/* The shape that the metric has. */
extern GrShapeLetter gr_kind_shape(const GrKind *kind, bool over_units, bool averaged);

#endif							/* GR_KIND_H */
