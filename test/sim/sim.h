/*
 * sim.h
 *	  Simulated experiments that are looked at after each of LOOKS batches.
 *
 * data.c makes the data and their estimates, rules.c puts guardrail's own
 * decisions and the published rules of other tools to them, main.c counts.
 */
#ifndef SIM_H
#define SIM_H

#include <gsl/gsl_rng.h>

#include "decide/decide.h"

#define LOOKS 100
#define ALPHA 0.10				/* one-sided, the default of guardrails */
#define MIN_UNITS 100			/* per arm, the default */
#define BATCHES 128				/* clusters of a quantile, as src/units has them */

/* ---- data ----------------------------------------------------------------- */

typedef enum Kind
{
	SCORE,						/* a Brownian motion: what the theory speaks of */
	REVENUE,					/* mean: 90 % zeros, the rest log-normal, sigma 1 */
	REVENUE_CAPPED,				/* the same, winsorised at its 0.99 quantile */
	PROPORTION,					/* 10 % of units */
	CRASH_UNITS,				/* 0.1 % of units */
	ERROR_UNITS,				/* 0.5 % of units, in a test of few */
	TICKETS,					/* mean: negative binomial, 0.3 a unit, dispersion 0.3 */
	HEAVY,						/* mean: 95 % zeros, the rest log-normal, sigma 1.5 */
	SPREAD,						/* mean: log-normal, sigma 0.8, in treatment 1.2 */
	CRASH_EVENTS,				/* 0.1 % of events: ratio, clustered by unit */
	LATENCY,					/* ratio: time per event, log-normal, clustered by unit */
	LATENCY_P95,				/* its 0.95 quantile over events, by 128 batches */
	KINDS
} Kind;

typedef struct Metric
{
	const char *name;
	bool		worse_is_higher;
	double		units;			/* planned, of both arms */
	double		margin;			/* the margin above 0 that is simulated, relative */
} Metric;

extern const Metric metrics[KINDS];

/* An experiment under way. */
typedef struct Data Data;

extern Data *data_new(Kind kind, double share);
extern void data_free(Data *data);

/* Begin anew; the treatment's value is the control's times (1 + lift). */
extern void data_start(Data *data, gsl_rng *rng, double lift);

/* One more batch of units in both arms. */
extern void data_batch(Data *data);

extern int64_t data_units(const Data *data, bool treatment);

/*
 * What was seen in the two arms; a quantile's variance is taken at the multiplier
 * that is in force.
 */
extern void data_samples(Data *data, double multiplier, GrSample *treatment, GrSample *control);

/* Standard error of the lift at the plan's end, in relation to the control. */
extern double data_pilot(Data *data, gsl_rng *rng, double lift, int runs);

/* ---- rules ---------------------------------------------------------------- */

typedef enum RuleId
{
	FIXED,
	ALWAYS_VALID,
	ALWAYS_VALID_PLAN,
	GS_POWER,
	GS_POCOCK,
	GS_OBRIEN_FLEMING,
	POINT,
	GROWTHBOOK,
	EPPO,
	STATSIG,
	RULES
} RuleId;

#define OWN_RULES GROWTHBOOK	/* before it guardrail's */

extern const char *const rule_names[RULES];

/* What a rule said of one experiment. */
typedef struct Outcome
{
	int			blocked;		/* look of the first BLOCK; 0: none */
	bool		safe;			/* SAFE at some look */
	double		reach;			/* of a published rule: most that z was of its bound */
} Outcome;

/* All of guardrail's rules, or one of each design. */
#define ALL_RULES 0xffff
#define ONE_OF_EACH ((1 << FIXED) | (1 << ALWAYS_VALID) | (1 << GS_POWER))

/* Run one experiment to its planned end under guardrail's rules of a mask, and all others. */
extern void run_rules(Data *data, Kind kind, double margin, gsl_rng *rng, double lift, int mask,
					  Outcome outcome[RULES]);

/* The bound of a rule on the z scale, at a look of a plan of so many units. */
extern double rule_bound(RuleId rule, int look, double planned);

#endif							/* SIM_H */
