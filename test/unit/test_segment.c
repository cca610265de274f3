/*
 * test_segment.c
 *	  Guardrails of segments: which alarms survive, what stands, how often an alarm is
 *	  false.
 */
#include "unit.h"
#include "decide/decide.h"

#define SEGMENTS 20
#define LOOKS 20
#define PER_LOOK 50				/* units of each arm and segment */
#define LIMIT 0.1
#define ALPHA 0.1
#define RUNS 500

static const GrRule rule = {.metric = "load",.kind = gr_kinds,.role = GR_GUARDRAIL,.evidence = GR_BREACH,
.limit_kind = GR_LIMIT_DIFFERENCE,.limit_value = LIMIT,.alpha = ALPHA,.worse_is_higher = true};

typedef struct Room
{
	double		p[SEGMENTS],
				alpha[SEGMENTS],
				adjusted[SEGMENTS],
				divisor[SEGMENTS],
				of_result[SEGMENTS];
	int			order[SEGMENTS],
				member[SEGMENTS];
	bool		testable[SEGMENTS];
} Room;

/* Levels of the group-sequential design, and their bounds at each look. */
#define ROWS 12

typedef struct Design
{
	double		fraction[LOOKS];
	GrBoundRow	rows[ROWS];
	double		bounds[ROWS][LOOKS + 1];
	GrLookState states[ROWS];
	GrLookState scratch;
	int			nrows;			/* filled by an earlier run */
} Design;

typedef struct World
{
	Room		room;
	GrScratch	scratch;
	GrMonitor	monitor;
	GrTestState test;
	GrArm		arm;
	GrArm		control;
	GrResult	results[SEGMENTS];
	double		log_e[SEGMENTS];
} World;

static void
begin(World *w, GrMonitoring kind)
{
	memset(w, 0, sizeof(*w));
	w->scratch = (GrScratch) {w->room.p, w->room.alpha, w->room.adjusted, w->room.divisor,
	w->room.order, w->room.member, w->room.of_result, w->room.testable};
	w->monitor.kind = kind;
	w->monitor.n_star = 1000;
	w->test = (GrTestState) {.correction = GR_ADJUST_NONE,.min_units = 10,.over = true,.beta = 0.2,
	.monitor = &w->monitor,.srm_p = NAN};
	w->arm = (GrArm) {.name = "treatment",.units = 0,.events = 0};
	w->control = (GrArm) {.name = "control",.units = 0,.events = 0};
}

/* Decide segment i, whose arms have these means of n units of variance 1. */
static void
decide_one(World *w, int i, double treatment, double control, double n, bool latched)
{
	GrResult   *r = &w->results[i];

	memset(r, 0, sizeof(*r));
	r->rule = &rule;
	r->arm = &w->arm;
	r->treatment = (GrEstimate) {treatment, 1 / n, INFINITY};
	r->control = (GrEstimate) {control, 1 / n, INFINITY};
	r->latched = latched;
	r->variance_removed = r->cap = r->null_share_p = r->nonfinite_share_p = NAN;
	w->arm.units = w->control.units = (int64_t) n;
	gr_decide_results(r, 1, 1, &w->control, &w->test, &w->scratch);
	w->log_e[i] = gr_segment_log_e(r, &w->monitor);
}

static int
decide_all(World *w, int n)
{
	GrResult   *results[SEGMENTS];

	for (int i = 0; i < n; i++)
		results[i] = &w->results[i];
	return gr_decide_segments(results, w->log_e, n, &w->test, &w->scratch);
}

typedef struct Rates
{
	double		ever;			/* runs with a false alarm at any look */
	double		first;			/* mean share of false ones among the first alarms */
	double		last;			/* and among all that stand at the end */
	double		uncorrected;	/* runs in which a segment by itself is breached */
	double		found;			/* share of the harmed segments that are found */
} Rates;

/* The next look; what the levels' bounds are was found in the first run. */
static void
next_look(World *w, Design *design, int look)
{
	GrMonitor  *m = &w->monitor;

	for (int i = 0; look == 1 && i < LOOKS; i++)
		design->fraction[i] = (i + 1.0) / LOOKS;
	for (int i = 0; design->nrows == 0 && look == 1 && i < ROWS; i++)
	{
		design->rows[i].bound = design->bounds[i];
		design->rows[i].state = &design->states[i];
	}
	m->spending = GR_SPENDING_POWER;
	m->phi = 1;
	m->fraction = design->fraction;
	m->nlooks = look - 1;
	m->is_look = true;
	m->now = (double) look / LOOKS;
	m->rows = design->rows;
	m->rows_room = ROWS;
	if (look == 1)
		m->nrows = design->nrows;
	m->scratch = &design->scratch;
}

/* Segments looked at again and again; the first "harmed" are beyond the limit by "harm". */
static Rates
simulate(GrMonitoring kind, int harmed, double harm, uint64_t seed)
{
	static World w;
	static Design design;
	Random		random = seed;
	Rates		rates = {0};
	int			looks = kind == GR_FIXED ? 1 : LOOKS;

	for (int run = 0; run < RUNS; run++)
	{
		double		sum[SEGMENTS][2] = {{0}};
		bool		standing[SEGMENTS] = {false};
		int			alarms = 0,
					wrong = 0;
		bool		alone = false;

		begin(&w, kind);
		for (int look = 1; look <= looks; look++)
		{
			double		n = (double) PER_LOOK * (kind == GR_FIXED ? LOOKS : look);
			double		step = kind == GR_FIXED ? PER_LOOK * LOOKS : PER_LOOK;
			bool		none = alarms == 0;

			if (kind == GR_GROUP_SEQUENTIAL)
				next_look(&w, &design, look);
			for (int i = 0; i < SEGMENTS; i++)
			{
				double		truth = LIMIT + (i < harmed ? harm : 0);

				sum[i][0] += step * truth + sqrt(step) * random_normal(&random);
				sum[i][1] += sqrt(step) * random_normal(&random);
				decide_one(&w, i, sum[i][0] / n, sum[i][1] / n, n, standing[i]);
				alone |= i >= harmed && w.results[i].p_breach <= ALPHA;
			}
			CHECK(decide_all(&w, SEGMENTS) == SEGMENTS);
			alarms = wrong = 0;
			for (int i = 0; i < SEGMENTS; i++)
			{
				standing[i] = w.results[i].status == GR_BREACHED;
				alarms += standing[i];
				wrong += standing[i] && i >= harmed;
			}
			if (none && alarms > 0)
				rates.first += (double) wrong / alarms;
			design.nrows = w.monitor.nrows;
		}
		rates.ever += wrong > 0;
		rates.last += alarms ? (double) wrong / alarms : 0;
		rates.uncorrected += alone;
		rates.found += harmed ? (double) (alarms - wrong) / harmed : 0;
	}
	return (Rates) {rates.ever / RUNS, rates.first / RUNS, rates.last / RUNS, rates.uncorrected / RUNS,
		rates.found / RUNS};
}

/* A share of at most ALPHA, as seen in RUNS runs: 3.5 standard deviations. */
static double
most(void)
{
	return ALPHA + 3.5 * sqrt(ALPHA * (1 - ALPHA) / RUNS);
}

static void
test_rates(void)
{
	static const GrMonitoring kinds[] = {GR_ALWAYS_VALID, GR_FIXED, GR_GROUP_SEQUENTIAL};
	static const char *const names[] = {"always_valid", "fixed", "group_sequential"};

	for (int k = 0; k < 3; k++)
	{
		Rates		null = simulate(kinds[k], 0, 0, 11 + (uint64_t) k);
		Rates		mixed = simulate(kinds[k], 5, 0.25, 21 + (uint64_t) k);

		CHECK(null.ever <= most());
		CHECK(null.first <= most());
		/* one by one they would cry wolf */
		CHECK(null.uncorrected > most());
		CHECK(mixed.first <= most());
		CHECK(mixed.last <= most());
		CHECK(mixed.found > 0.8);
		printf("%s: false alarm ever %.3f (one by one %.3f); false among alarms, 5 of %d harmed: first %.3f, last %.3f; found %.3f\n",
			   names[k], null.ever, null.uncorrected, SEGMENTS, mixed.first, mixed.last, mixed.found);
	}
}

static void
test_statuses(void)
{
	static World w;
	GrRule		point = rule;
	double		n = 1000;
	double		se = sqrt(2 / n);

	begin(&w, GR_ALWAYS_VALID);
	decide_one(&w, 0, LIMIT + 10 * se, 0, n, false);
	decide_one(&w, 1, LIMIT + 2.7 * se, 0, n, false);
	decide_one(&w, 2, LIMIT - 10 * se, 0, n, false);
	decide_one(&w, 3, LIMIT, 0, n, true);
	decide_one(&w, 4, NAN, NAN, n, true);
	decide_one(&w, 5, LIMIT + 10 * se, 0, 5, false);
	CHECK(w.results[1].status == GR_BREACHED);
	CHECK(decide_all(&w, 6) == 6);
	CHECK(w.results[0].status == GR_BREACHED && w.results[0].p_breach_adjusted <= ALPHA);
	/* by itself it would be, as one of six it is not */
	CHECK(w.results[1].status == GR_UNDECIDED && w.results[1].p_breach <= ALPHA);
	CHECK(w.results[2].status == GR_IS_SAFE);
	CHECK(w.results[3].status == GR_BREACHED && !(w.results[3].p_breach_adjusted <= ALPHA));
	CHECK(w.results[4].status == GR_BREACHED && isnan(w.results[4].p_breach_adjusted));
	CHECK(w.results[5].status == GR_UNDECIDED && isnan(w.log_e[5]));
	gr_reason_of_segment(&w.results[0], "device", "android mid", 6, &w.control, &w.test);
	CHECK(strstr(w.results[0].reason, "load where device is 'android mid' +0.547 (90 % bound") == w.results[0].reason);
	CHECK(strstr(w.results[0].reason, "); alarm after e-BH over 6 tests") != NULL);
	gr_reason_of_segment(&w.results[1], "device", NULL, 6, &w.control, &w.test);
	CHECK(strstr(w.results[1].reason, "load where device is null ") == w.results[1].reason);
	CHECK(strstr(w.results[1].reason, "; no alarm after e-BH over 6 tests") != NULL);
	gr_reason_of_segment(&w.results[4], "device", "ios", 6, &w.control, &w.test);
	CHECK(strcmp(w.results[4].reason, "load where device is 'ios'; the alarm of an earlier check stands") == 0);
	/* an estimate beyond the limit is no alarm, and no test */
	point.evidence = GR_POINT;
	decide_one(&w, 0, LIMIT + 10 * se, 0, n, false);
	w.results[0].rule = &point;
	w.log_e[0] = gr_segment_log_e(&w.results[0], &w.monitor);
	CHECK(isnan(w.log_e[0]) && decide_all(&w, 1) == 0 && w.results[0].status == GR_UNDECIDED);
}

/* However long expression and value are, the reason fits and no character is cut. */
static void
test_long_names(void)
{
	static World w;
	char		expression[2000],
				value[2000];

	for (int i = 0; i + 1 < (int) sizeof(expression); i += 2)
		memcpy(expression + i, "\xc3\xa9", 2);
	memcpy(value, expression, sizeof(value));
	expression[1998] = value[1998] = '\0';
	begin(&w, GR_FIXED);
	decide_one(&w, 0, 5, 0, 1000, false);
	(void) decide_all(&w, 1);
	gr_reason_of_segment(&w.results[0], expression, value + 1, 1, &w.control, &w.test);
	CHECK(strlen(w.results[0].reason) < GR_REASON_SIZE);
	CHECK(strstr(w.results[0].reason, "...'") != NULL && strstr(w.results[0].reason, "alarm after BH over 1 test") != NULL);
}

/* A segment's alarm in the verdict: shown, or a veto; a trust check comes before it. */
static void
test_verdict(void)
{
	GrRule		primary = {.metric = "sales",.kind = gr_kinds,.role = GR_PRIMARY,.evidence = GR_BREACH,.limit_kind = GR_LIMIT_RELATIVE,.alpha = 0.05};
	GrArm		arm = {.name = "treatment",.units = 1000,.events = 1000},
				control = {.name = "control",.units = 1000,.events = 1000};
	GrResult	results[2] = {{.rule = &primary,.arm = &arm,.status = GR_WON},
	{.rule = &rule,.arm = &arm,.status = GR_IS_SAFE,.segments = "load where country is 'BR'",.segments_reason = "why"}};
	GrTestState test = {.srm_alpha = 0.001,.srm_p = NAN,.min_units = 100,.max_crossover = 0.01,
	.over = true,.has_primary = true,.total_units = 2000};
	GrArmVerdict v;

	snprintf(results[0].reason, sizeof(results[0].reason), "won");
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	CHECK(v.verdict == GR_VERDICT_SHIP && v.breached == 0);
	CHECK(strcmp(v.status, "OK; breached without a veto: load where country is 'BR'") == 0);
	CHECK(strcmp(v.reason, "won; guardrails: 1 safe, 0 undecided, 0 breached; alarm without a veto: why") == 0);
	results[0].status = GR_UNDECIDED;
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	CHECK(v.verdict == GR_VERDICT_HOLD && strstr(v.reason, "; alarm without a veto: why") != NULL);
	results[1].segments_veto = true;
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	CHECK(v.verdict == GR_VERDICT_BLOCK && v.breached == 0);
	CHECK(strcmp(v.status, "BLOCK: load where country is 'BR'") == 0 && strcmp(v.reason, "why") == 0);
	test.srm_p = 1e-6;
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	CHECK(v.verdict == GR_VERDICT_INVALID);
}

int
main(void)
{
	gr_stats_init();
	test_statuses();
	test_long_names();
	test_verdict();
	test_rates();
	return unit_report();
}
