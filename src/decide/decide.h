/*
 * decide.h
 *	  From estimates to statuses, from statuses to a verdict, in words.
 *
 * Inner ring: no PostgreSQL header, no allocation but the caller's arrays, no
 * state.  Everything a verdict rests on is in these structures.
 */
#ifndef GR_DECIDE_H
#define GR_DECIDE_H

#include "decide/design.h"
#include "decide/kind.h"
#include "decide/test.h"

/* The arguments of a function that formats: gcc knows the archetype that PostgreSQL uses. */
#if defined(__GNUC__) && !defined(__clang__)
#define GR_PRINTF(format_at, first) __attribute__((format(gnu_printf, format_at, first)))
#else
#define GR_PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#endif

typedef enum GrRole
{
	GR_PRIMARY,
	GR_SECONDARY,
	GR_GUARDRAIL
} GrRole;

typedef enum GrSeverity
{
	GR_BLOCK,
	GR_HOLD,
	GR_WARN
} GrSeverity;

typedef enum GrEvidence
{
	GR_POINT,
	GR_BREACH,
	GR_SAFE
} GrEvidence;

typedef enum GrLimitKind
{
	GR_LIMIT_ABSOLUTE,
	GR_LIMIT_DIFFERENCE,
	GR_LIMIT_RELATIVE,
	GR_LIMIT_SIGNIFICANCE
} GrLimitKind;

typedef enum GrStatus
{
	GR_NO_DATA,
	GR_UNDECIDED,
	GR_BREACHED,
	GR_IS_SAFE,
	GR_WON,
	GR_LOST,
	GR_UNMEASURED
} GrStatus;

/* Why no valid test of a rule exists on these data. */
typedef enum GrObstacle
{
	GR_NO_OBSTACLE,
	GR_FAILED,					/* its expressions cannot be evaluated */
	GR_NEGATIVE_CONTROL,		/* a relative limit has no meaning */
	GR_OUT_OF_REACH,			/* no share of units can be beyond the limit */
	GR_CONSTANT,				/* nothing varies, and the arms are alike */
	GR_HEAVY_UNIT,				/* one unit carries the test */
	GR_SKEWED,					/* safety cannot be claimed */
	GR_FEW_EVENTS,				/* of a share: no arrangement of them would be proof */
	GR_FEW_IN_TAIL				/* of a quantile: the data do not bound it */
} GrObstacle;

typedef enum GrVerdict
{
	GR_VERDICT_INVALID,
	GR_VERDICT_BLOCK,
	GR_VERDICT_HOLD,
	GR_VERDICT_SHIP
} GrVerdict;

/* What is asked of one metric. */
typedef struct GrRule
{
	const char *metric;
	const GrKind *kind;
	const char *display_unit;	/* NULL: none */
	GrRole		role;
	GrSeverity	severity;
	GrEvidence	evidence;
	GrLimitKind limit_kind;
	double		limit_value;	/* see INTERFACE: a size, or the limit itself */
	double		alpha;			/* one-sided for guardrails, else two-sided */
	bool		worse_is_higher;
	bool		is_proportion;	/* shown in per cent and percentage points */
	double		quantile;		/* 0: none */
} GrRule;

/* What the test as a whole asks and knows. */
typedef struct GrTestState
{
	GrAdjust	correction;
	double		srm_alpha;
	double		max_crossover;
	int64_t		min_units;
	int64_t		planned_units;	/* 0: none */
	bool		over;			/* the time to decide has come: always so under a
								 * sequential design, under fixed at the end */
	double		beta;			/* 1 - power that each test is planned at */
	GrMonitor  *monitor;
	bool		has_primary;
	int64_t		crossover_units;
	double		srm_p;			/* NaN: not tested */
	const char *split;			/* "control 5200, treatment 4800 units: 200 too few in
								 * treatment" */
	int64_t		total_units;	/* over all arms, without crossover units */
	int64_t		mature_units;	/* of those, the ones whose windows have closed in
								 * every metric that can keep an arm from SHIP */
	const char *plan_broken;	/* in what the plan was changed after launch; NULL:
								 * in nothing */
	const char *plan_note;		/* what every reason says of the plan; NULL: nothing */
	const char *unknown_arms;	/* variants that are not planned, with their rows; NULL: none is known */
	const char *decided;		/* the check that a fixed test was decided by, and what came after; NULL:
								 * there was none before */
	bool		surplus_arms;	/* more names of arms than there may be: some are left out */
} GrTestState;

/* The data of one arm. */
typedef struct GrArm
{
	const char *name;
	int64_t		units;
	int64_t		events;
	/* of amendments after data, and of waivers; NULL: nothing */
	const char *loosened;		/* "limit of load 200 -> 250 ms after 14,003 units" */
	const char *held;			/* names of what was loosened and nobody waived: no SHIP */
	const char *waived;			/* "load (anna, until 2027-01-31)" */
} GrArm;

#define GR_REASON_SIZE 512

/*
 * What the recorded checks of the same plan leave behind for one test: the
 * running minimum of its p-value, and the estimates of the check that set it
 * (its witness), from which its bound is computed at whatever level decides.
 */
typedef struct GrPast
{
	bool		known;
	double		p;
	const GrSample *treatment;
	const GrSample *control;
	GrOccasion	at;
} GrPast;

#define GR_TEST_KINDS 3

/* One treatment arm and rule: estimates in, everything else out. */
typedef struct GrResult
{
	/* in */
	const GrRule *rule;
	const GrArm *arm;
	GrEstimate	treatment;		/* value NaN: no data */
	GrEstimate	control;
	const GrSample *treatment_sample;	/* NULL: nothing but the estimates is known */
	const GrSample *control_sample;
	int64_t		immature;		/* units of the arm without a closed window, */
	int64_t		immature_control;	/* and of the control: not in the estimates */
	GrPast		past[GR_TEST_KINDS];	/* by GrTestKind */
	bool		latched;		/* a recorded check of this plan was BREACHED */
	double		variance_removed;	/* share, by the covariate; NaN: none */
	double		cap;			/* what unit totals were capped at; NaN: nothing */
	double		left_out;		/* non-finite values, for the reason */
	double		null_share_p;	/* p of "the share of NULLs is the same"; NaN */
	double		nonfinite_share_p;	/* and of values that are not finite */
	double		missing_share_alpha;
	bool		waived;			/* somebody lifted its veto for the arm */
	const char *failure;		/* why the rule's expressions cannot be evaluated; NULL: they can */
	const char *segments;		/* in which the rule is breached: "load where country
								 * is 'BR'"; NULL: in none */
	const char *segments_reason;
	bool		segments_veto;	/* those BLOCK */

	/* out */
	double		effect;
	double		se;
	double		lower;			/* one-sided bounds of the effect */
	double		upper;
	double		level_lower;	/* one-sided alpha of each */
	double		level_upper;
	double		p_breach;		/* NaN where there is none */
	double		p_breach_adjusted;
	double		p_safe;
	double		p_value;		/* two-sided, of primaries and secondaries */
	double		p_value_adjusted;
	GrStatus	status;
	GrObstacle	obstacle;
	double		heaviest;		/* largest unit's part of what the test rests on; NaN */
	double		events_needed;	/* GR_FEW_EVENTS: so many could be proof; NaN: none */
	bool		needs_without;	/* units without the event, then */
	bool		watch;			/* nothing is proven, but the check that people write by
								 * hand would block */
	double		watch_p;		/* its p-value, where there is no margin; NaN */
	bool		enough_units;	/* there are min_units of them */
	bool		usable;			/* this evaluation counts as evidence */
	GrOccasion	at;
	bool		is_witness[GR_TEST_KINDS];	/* it set the running minimum */
	double		units_needed;	/* more units of the arm, for UNDECIDED; NaN */
	char		reason[GR_REASON_SIZE];
} GrResult;

/* One treatment arm: the verdict. */
typedef struct GrArmVerdict
{
	GrVerdict	verdict;
	int			guardrails;
	int			breached;
	int			safe;
	int			undecided;
	int			no_data;
	int			unmeasured;
	int			watch;
	const GrResult *primary;	/* NULL: none */
	char		status[2048];
	char		reason[4096];
} GrArmVerdict;

/* Room that gr_decide_results needs: arrays of n = narms * nrules each. */
typedef struct GrScratch
{
	double	   *p;				/* of one family of tests, ... */
	double	   *alpha;
	double	   *adjusted;
	double	   *divisor;
	int		   *order;
	int		   *member;			/* ... its results */
	double	   *of_result;		/* divisor of each result */
	bool	   *testable;
} GrScratch;

/* How many rows of bounds a group-sequential monitor may need. */
extern int	gr_levels_needed(int nalphas, int nrules, int narms);

/*
 * Decide every result: results is [narms][nrules], treatment arms only;
 * control is the control arm (units 0 when it is missing).
 */
extern void gr_decide_results(GrResult *results, int narms, int nrules,
							  const GrArm *control, const GrTestState *test,
							  GrScratch *scratch);

/* The verdict of one arm from its results[nrules]. */
extern void gr_decide_verdict(const GrResult *results, int nrules,
							  const GrArm *arm, const GrArm *control,
							  const GrTestState *test, GrArmVerdict *out);

/* rule.c: what a rule asks of its two arms */

/* The limit on the scale of the effect, with the sign of harm. */
extern double gr_signed_limit(const GrRule *rule);
extern GrContrastKind gr_contrast_of(GrLimitKind kind);

/* Units whose observations are in the estimates of a result. */
extern int64_t gr_mature_units(const GrResult *r);
extern int64_t gr_mature_control(const GrResult *r, const GrArm *control);

/*
 * What is tested of a result, at its occasion; t and c: room for samples of which
 * nothing but the estimate is known.
 */
extern GrTested gr_tested_of(const GrResult *r, GrSample *t, GrSample *c);

/* obstacle.c: may the data be tested, and what would be said of them by hand */

/*
 * Can no share of units lie beyond the limit of a rule, whose control is such a share?
 * control: NaN when it is not known.
 */
extern bool gr_limit_out_of_reach(const GrRule *rule, double control);

/* Sets obstacle, heaviest, and what a share would need. */
extern void gr_find_obstacle(GrResult *r);

/* Sets watch and watch_p. */
extern void gr_find_watch(GrResult *r);

/* May safety, or a win, be claimed in spite of it? */
extern bool gr_obstacle_allows_claims(GrObstacle obstacle);

/* Is the test invalid?  Writes why. */
extern bool gr_test_invalid(const GrTestState *test, char *why, size_t size);

/* segment.c: the guardrails of parts of the units */

/*
 * ln of the e-value of a result's breach test at its rule's limit, one-sided; NaN
 * where there is none.
 */
extern double gr_segment_log_e(const GrResult *r, const GrMonitor *m);

/*
 * The results of all segments, arms and guardrails as one family: after
 * gr_decide_results without a correction sets p_breach_adjusted and status.  log_e: of
 * each, used under always_valid.  Returns the number of tests.
 */
extern int	gr_decide_segments(GrResult *const *results, const double *log_e, int n,
							   const GrTestState *test, GrScratch *scratch);

/* "load where country is 'BR'" */
extern void gr_segment_title(const GrRule *rule, const char *expression, const char *value,
							 char *buf, size_t size);

/* The reason of a result of a segment (value NULL: of NULL), decided in ntests tests. */
extern void gr_reason_of_segment(GrResult *r, const char *expression, const char *value,
								 int ntests, const GrArm *control, const GrTestState *test);

/* reason.c: words */
extern const char *gr_status_word(GrStatus status);
extern const char *gr_verdict_word(GrVerdict verdict);
extern void gr_reason_of_result(GrResult *r, const GrArm *control,
								const GrTestState *test);

/* Bytes of a name that fit into size, no UTF-8 character cut: for "%.*s". */
extern int	gr_fitting(const char *name, int size);

/* The rule's name as people say it: "load p95". */
extern void gr_rule_title(const GrRule *rule, char *buf, size_t size);

/* A number of the rule's effect: "+231 ms", "-0.8 pp", "+3.1 %". */
extern void gr_format_effect(const GrRule *rule, double x, int digits,
							 char *buf, size_t size);

#endif							/* GR_DECIDE_H */
