/*
 * catalog.h
 *	  Experiments and their rules, as read from their tables.
 */
#ifndef GR_CATALOG_H
#define GR_CATALOG_H

#include "base/owner.h"

#include "datatype/timestamp.h"
#include "decide/decide.h"

/* A row of guardrail_rule. */
typedef struct Rule
{
	GrRule		rule;			/* what decide/ needs */
	bool		north_star;
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

/* Expressions that an experiment may have as segments. */
#define GR_MAX_SEGMENTS 8

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

/* The rules of an experiment: more would not fit into one statement (query/two_level.c). */
#define GR_MAX_RULES 237

/*
 * An error with the name of what an experiment rests on and is gone: events, exposures, a
 * column of them, its owner.  function: the caller (exists.c).
 */
extern void gr_require_existing(const Experiment *e, Oid function);

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
extern const char *const gr_words_spending[];
extern const char *const gr_words_unit_aggregate[];

/* The position of a word in its list, or -1. */
extern int	gr_word(const char *word, const char *const *words);

/* ---- the registered plan (intact.c) ---------------------------------------- */

/*
 * In what the launched plan was changed, in words, or NULL, and what reasons say
 * of it (note, or NULL): "registered after data".  A draft has neither.  Reads
 * with the rights of the extension's owner; the results live in "context".
 */
extern char *gr_plan_broken(const char *schema, const Experiment *e,
							MemoryContext context, char **note);

/* What reasons say of a launched plan, or NULL, into *note. */
extern void gr_plan_note(const char *schema, const Experiment *e, MemoryContext context,
						 char **note);

#endif							/* GR_CATALOG_H */
