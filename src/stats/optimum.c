/*
 * optimum.c
 *	  The best setting of a response under constraints, and what to try next.
 */
#include "response.h"

#include <math.h>
#include <string.h>

#include <gsl/gsl_min.h>

#define GRID 1000
#define REFINEMENTS 60

/* One search: the goal, the constraints, and what is compared with the best. */
typedef struct Search
{
	const GrGoal *goal;
	const GrConstraint *constraints;
	int			n;
	GrConstraint worse;			/* the goal at a setting against the goal at the best */
} Search;

static double
grid_setting(const Search *s, int i)
{
	const GrResponse *r = &s->goal->response;

	return r->centre + r->half * (2.0 * i / GRID - 1);
}

static double
goal_at(const Search *s, double setting)
{
	double		se;

	return s->goal->sign * gr_response_at(&s->goal->response, setting, &se);
}

/* Proven to keep to all limits? */
static bool
is_safe(const Search *s, double setting)
{
	if (s->goal->breathe)
		s->goal->breathe();
	for (int k = 0; k < s->n; k++)
		if (!(gr_constraint_at(&s->constraints[k], setting).upper <= 0))
			return false;
	return true;
}

/* The constraint whose bound lies furthest up, in its own standard errors; -1: none. */
static int
tightest(const Search *s, double setting, double *estimate, bool *disproven)
{
	int			found = -1;
	double		worst = -INFINITY;

	*estimate = -INFINITY;
	*disproven = false;
	for (int k = 0; k < s->n; k++)
	{
		GrMargin	m = gr_constraint_at(&s->constraints[k], setting);
		double		z = m.upper / m.se;

		*disproven = *disproven || m.lower > 0;
		if (found >= 0 && !(z > worst))
			continue;
		found = k;
		worst = z;
		*estimate = m.estimate / m.se;
	}
	return found;
}

/* ---- the best setting ------------------------------------------------------ */

/* Of the scaled setting: Brent's tolerance is relative. */
static double
negative_goal(double u, void *search)
{
	const Search *s = search;

	return -goal_at(s, s->goal->response.centre + s->goal->response.half * u);
}

/* A maximum within (low, high), both worse than middle: Brent's method. */
static double
refine_inside(Search *s, double low, double middle, double high)
{
	const GrResponse *r = &s->goal->response;
	gsl_min_fminimizer *m = gsl_min_fminimizer_alloc(gsl_min_fminimizer_brent);
	gsl_function f = {negative_goal, s};
	double		best = middle;

	if (m == NULL)
		return best;
	if (gsl_min_fminimizer_set(m, &f, (middle - r->centre) / r->half, (low - r->centre) / r->half,
							   (high - r->centre) / r->half) == 0)
	{
		for (int i = 0; i < REFINEMENTS && gsl_min_fminimizer_iterate(m) == 0; i++)
			;
		best = r->centre + r->half * gsl_min_fminimizer_x_minimum(m);
	}
	gsl_min_fminimizer_free(m);
	return best;
}

/* The last safe setting from one that is safe towards one that is not. */
static double
refine_limit(const Search *s, double safe, double unsafe)
{
	for (int i = 0; i < REFINEMENTS; i++)
	{
		double		middle = safe / 2 + unsafe / 2;

		if (is_safe(s, middle))
			safe = middle;
		else
			unsafe = middle;
	}
	return safe;
}

/* From the best safe point of the grid to the best safe setting nearby. */
static double
refine(Search *s, int i)
{
	double		best = grid_setting(s, i);
	double		low = grid_setting(s, i > 0 ? i - 1 : 0);
	double		high = grid_setting(s, i < GRID ? i + 1 : GRID);
	double		candidate[3] = {best, best, best};

	if (low < best && best < high && goal_at(s, low) < goal_at(s, best) &&
		goal_at(s, high) < goal_at(s, best))
		candidate[0] = refine_inside(s, low, best, high);
	if (low < best && !is_safe(s, low))
		candidate[1] = refine_limit(s, best, low);
	if (high > best && !is_safe(s, high))
		candidate[2] = refine_limit(s, best, high);
	for (int k = 0; k < 3; k++)
		if (is_safe(s, candidate[k]) && goal_at(s, candidate[k]) > goal_at(s, best))
			best = candidate[k];
	return best;
}

/* The safe point of the grid with the best goal, or of all points; -1: none. */
static int
best_of_grid(const Search *s, bool safe_only)
{
	int			best = -1;

	for (int i = 0; i <= GRID; i++)
	{
		double		setting = grid_setting(s, i);

		if ((best < 0 || goal_at(s, setting) > goal_at(s, grid_setting(s, best))) &&
			(!safe_only || is_safe(s, setting)))
			best = i;
	}
	return best;
}

/* ---- what the data cannot tell ---------------------------------------------- */

/*
 * Scheffe's multiplier over all differences of two settings: two directions of the
 * coefficients, so the setting compared with may come from the data.
 */
static void
compare_with(Search *s, double setting)
{
	memset(&s->worse, 0, sizeof(s->worse));
	s->worse.response = s->goal->response;
	s->worse.sign = -s->goal->sign;
	s->worse.factor = 1;
	s->worse.reference_fitted = true;
	s->worse.reference.setting = setting;
	s->worse.level = s->goal->alpha;
	s->worse.multiplier = sqrt(-2 * log(s->goal->alpha));
}

static bool
is_proven_worse(const Search *s, double setting)
{
	return gr_constraint_at(&s->worse, setting).lower > 0;
}

/* The settings that are safe and may be as good; is any setting proven worse? */
static bool
look_around(const Search *s, GrOptimum *out)
{
	bool		any_worse = false;

	out->near_lower = out->near_upper = out->setting;
	for (int i = 0; i <= GRID; i++)
	{
		double		setting = grid_setting(s, i);

		if (is_proven_worse(s, setting))
			any_worse = true;
		else if (is_safe(s, setting))
		{
			out->near_lower = fmin(out->near_lower, setting);
			out->near_upper = fmax(out->near_upper, setting);
		}
	}
	return any_worse;
}

/* ---- what to try next -------------------------------------------------------- */

/* Not twice the same: a twentieth of the range apart. */
static void
add_next(const Search *s, double setting, GrOptimum *out)
{
	for (int i = 0; i < out->nnext; i++)
		if (fabs(out->next[i] - setting) < s->goal->response.half / 10)
			return;
	out->next[out->nnext++] = setting;
}

/* Where a limit is nearest, of what may be safe and better than the best. */
static void
next_by_limit(const Search *s, bool found, GrOptimum *out)
{
	double		nearest = INFINITY;
	double		setting = NAN;

	for (int i = 0; i <= GRID; i++)
	{
		double		x = grid_setting(s, i);
		double		z;
		bool		disproven;

		if (is_safe(s, x) || (found && !(gr_constraint_at(&s->worse, x).estimate < 0)))
			continue;
		(void) tightest(s, x, &z, &disproven);
		if (disproven || !(fabs(z) < nearest))
			continue;
		nearest = fabs(z);
		setting = x;
	}
	if (!isnan(setting))
		add_next(s, setting, out);
}

/* Where the difference to the best is known least, of what may be as good. */
static void
next_by_goal(const Search *s, GrOptimum *out)
{
	double		largest = 0;
	double		setting = NAN;

	for (int i = 0; i <= GRID; i++)
	{
		double		x = grid_setting(s, i);
		double		se = gr_constraint_at(&s->worse, x).se;

		if (se > largest && is_safe(s, x) && !is_proven_worse(s, x))
		{
			largest = se;
			setting = x;
		}
	}
	if (!isnan(setting))
		add_next(s, setting, out);
}

/* The middles of the gaps beside the arm with the best value. */
static void
next_beside_best_arm(const Search *s, GrOptimum *out)
{
	const GrResponse *r = &s->goal->response;
	const GrSetting *best = &r->arms[0];
	double		below = -INFINITY,
				above = INFINITY;

	for (int i = 1; i < r->narms; i++)
		if (s->goal->sign * r->arms[i].value > s->goal->sign * best->value)
			best = &r->arms[i];
	for (int i = 0; i < r->narms; i++)
	{
		if (r->arms[i].setting < best->setting)
			below = fmax(below, r->arms[i].setting);
		if (r->arms[i].setting > best->setting)
			above = fmin(above, r->arms[i].setting);
	}
	if (isfinite(below))
		add_next(s, below / 2 + best->setting / 2, out);
	if (isfinite(above))
		add_next(s, above / 2 + best->setting / 2, out);
}

/* ---- all of it ----------------------------------------------------------------- */

/* Is every response a quadratic, as far as can be tested? */
static bool
all_fit(const Search *s, GrOptimum *out)
{
	int			tested = 0;

	out->misfit = -1;
	out->p_fit = NAN;
	for (int k = -1; k < s->n; k++)
	{
		double		p = k < 0 ? s->goal->response.p_fit : s->constraints[k].response.p_fit;

		if (isnan(p))
			continue;
		tested++;
		if (out->p_fit <= p)
			continue;
		out->p_fit = p;
		out->misfit = k;
	}
	return tested == 0 || out->p_fit >= GR_FIT_ALPHA / tested;
}

static void
describe_best(Search *s, GrOptimum *out)
{
	/* the goal's own band: a constraint that asks nothing */
	GrConstraint band = {.response = s->goal->response, .sign = 1, .level = s->goal->alpha / 2};
	GrMargin	m;
	double		z;
	bool		disproven;

	gr_constraint_prepare(&band);
	m = gr_constraint_at(&band, out->setting);
	out->value = m.estimate;
	out->lower = m.lower;
	out->upper = m.upper;
	out->binding = tightest(s, out->setting, &z, &disproven);
}

void
gr_optimize(const GrGoal *goal, const GrConstraint *constraints, int n, GrOptimum *out)
{
	Search		s = {.goal = goal, .constraints = constraints, .n = n};
	double		z;
	bool		disproven;
	int			best;

	*out = (GrOptimum) {GR_SETTING_NO_FIT, NAN, NAN, NAN, NAN, NAN, NAN, -1, -1, NAN, 0, {NAN, NAN}};
	if (!all_fit(&s, out))
	{
		next_beside_best_arm(&s, out);
		return;
	}
	best = best_of_grid(&s, true);
	if (best < 0)
	{
		out->status = GR_SETTING_NONE_SAFE;
		out->binding = tightest(&s, grid_setting(&s, best_of_grid(&s, false)), &z, &disproven);
		next_by_limit(&s, false, out);
		return;
	}
	out->status = GR_SETTING_FOUND;
	out->setting = refine(&s, best);
	describe_best(&s, out);
	compare_with(&s, out->setting);
	if (!look_around(&s, out))
		out->status = GR_SETTING_FLAT;
	next_by_limit(&s, true, out);
	next_by_goal(&s, out);
	if (out->status == GR_SETTING_FLAT)
		out->setting = out->value = out->lower = out->upper = NAN;
}
