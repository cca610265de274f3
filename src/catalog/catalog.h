/*
 * catalog.h
 *	  Experiments and their rules, as read from their tables.
 */
#ifndef GR_CATALOG_H
#define GR_CATALOG_H

#include "guardrail.h"

#include "datatype/timestamp.h"
#include "decide/decide.h"

/* A row of guardrail_rule. */
typedef struct Rule
{
	GrRule		rule;			/* what decide/ needs */
	bool		north_star;
	char	   *kind;
	char	   *value;			/* of retention: "true" when it is NULL */
	char	   *denominator;	/* NULL: none */
	char	   *filter;			/* NULL: none */
	char	   *unit_aggregate;
	bool		over_units;		/* quantile_over = 'units' */
	char	   *covariate;		/* NULL: none */
	double		cap_quantile;	/* 0: none */
	double		cap_value;		/* NaN: none */
	double		at_least;		/* NaN: none */
	int			retention_day;	/* -1: none */
	char	   *retention_time_zone;	/* NULL: days of 24 hours */
	char	   *window_length;	/* interval as text; NULL: none */
	int64		fingerprint;	/* of all that its result depends on */
	int			metric;			/* in the collection's spec */
	bool		segment_veto;	/* an alarm in a segment BLOCKs */
	const char *failure;		/* why its expressions cannot be evaluated; NULL: they can */
} Rule;

/* A row of guardrail_experiment. */
typedef struct Experiment
{
	char	   *id;
	Oid			events;
	char	   *experiment_column;	/* NULL: every row belongs to it */
	char	   *unit_column;
	char	   *variant_column;
	char	   *time_column;	/* NULL: none */
	char	   *cursor_column;	/* NULL: none */
	Oid			exposures;		/* InvalidOid: none */
	char	   *exposed_at_column;
	char	   *control;
	int			narms;			/* planned; 0: those seen */
	char	  **arms;
	double	   *shares;
	char	   *starts_at;		/* timestamptz as text; NULL: none */
	char	   *ends_at;
	bool		ended;			/* ends_at has passed */
	char	   *as_of;			/* when windows must have closed: now, or ends_at */
	int64		planned_units;	/* 0: none */
	GrMonitoring monitoring;	/* settled: as it would be at launch */
	GrSpending	spending;
	double		spending_phi;
	GrAdjust	correction;
	double		srm_alpha;
	double		max_crossover;
	int64		min_units;
	Oid			owner;
	char	   *state;
	char	   *launched_at;	/* timestamptz as text; NULL: a draft */
	int			plan_version;
	Oid			function;		/* of the extension that reads it */
	const char *range;			/* a further condition on the events; NULL: none */
	int			nsegments;
	char	  **segments;		/* expressions, constant per unit */
	const char *segments_failure;	/* why they cannot be evaluated; NULL: they can */
	int			nrules;
	Rule	   *rules;			/* by role, then name */
} Experiment;

/* The schema the extension lives in, quoted, from a function of it. */
extern char *gr_schema_of(FunctionCallInfo fcinfo);
extern char *gr_schema_of_function(Oid function);

/*
 * Read an experiment with its rules; with_rules false: the row alone.  Needs
 * SPI to be connected; the result lives in CurrentMemoryContext of the caller
 * before SPI_connect, that is, it is allocated with "context" current.
 * An experiment that does not exist is an error.
 */
extern Experiment *gr_experiment_load(const char *schema, const char *id,
									  MemoryContext context);

/*
 * The same as a registered version of its plan has it: no events, owner, state or
 * time of launch.
 */
extern Experiment *gr_experiment_load_plan(const char *schema, const char *id, int version,
										   MemoryContext context);

/* The ids of the running experiments, in order. */
extern char **gr_experiments_running(const char *schema, int *n,
									 MemoryContext context);

/* The name of the role, which may have been dropped, that owns an experiment. */
extern char *gr_owner_name(const Experiment *e);

/* May the caller change this experiment: member of its owner, or superuser? */
extern void gr_require_ownership(const Experiment *e);

/* May the caller make this role an owner: can it set the role? */
extern void gr_require_member(Oid owner);

/* Words of the catalog's enumerated columns, each list ending with NULL. */
extern const char *const gr_words_role[];
extern const char *const gr_words_severity[];
extern const char *const gr_words_evidence[];
extern const char *const gr_words_limit_kind[];
extern const char *const gr_words_correction[];
extern const char *const gr_words_monitoring[];
extern const char *const gr_words_spending[];
extern const char *const gr_words_kind[];
extern const char *const gr_words_unit_aggregate[];

/* Is the metric a share of units: a proportion or retention? */
extern bool gr_rule_is_share(const Rule *rule);

/* Is it distinct or entropy, whose value is a category? */
extern bool gr_kind_is_diversity(const char *kind);

/* The position of a word in its list, or -1. */
extern int	gr_word(const char *word, const char *const *words);

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

#endif							/* GR_CATALOG_H */
