/*
 * look.c
 *	  Bounds of looks by recursive integration.
 *
 * Under H0 the score S = Z sqrt(t) is a Brownian motion in the information
 * fraction t.  Its density among the paths that have not crossed any bound is
 * carried from look to look by convolution with the normal density of the
 * increment (Armitage, McPherson and Rowe 1969).  The convolution's kernel is
 * as narrow as the root of the increment, and the bound of the last look leaves
 * a kink of that width in the density, so no fixed grid serves looks that are
 * close together: the density is kept on Gauss-Legendre panels that are halved
 * until the polynomial through the 16 values has settled, and panels too wide
 * for the next kernel are interpolated inside its reach.
 */
#include "panel.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MAX_PANELS (GR_GRID / NODES)

/* Paths below and above these z contribute nothing that could be spent. */
#define LOWEST_Z (-9.0)
#define HIGHEST_Z 12.5

/* Less than this is not worth a bound. */
#define LEAST_SPENT 1e-30

/* A smaller step, relative to t, would be lost in the rounding of the scores. */
#define LEAST_STEP 1e-13

/* Probability that one look may lose or gain by quadrature. */
#define WORST_MASS 1e-6

/*
 * A panel of this width, in sigmas, never needs halving: a convolution cannot
 * bend more.  What still moves is where the kernel's reach ends.
 */
#define NARROWEST_PANEL 0.05

/* How wide a panel may be: in sigmas, or in widths of the panels before. */
#define WIDEST_UNSEEN 16.0
#define WIDEST_GROWTH 8.0

/* ---- the next density ------------------------------------------------------ */

/*
 * Density at the nodes of [a, b] in score units.  Has the polynomial through
 * them settled to the tolerance?
 */
static bool
sample_panel(const Step *step, double a, double b, double tolerance,
			 double *x, double *w)
{
	double		top[2] = {0.0, 0.0};
	double		largest = 0.0;

	for (int i = 0; i < NODES; i++)
	{
		double		s = 0.5 * (a + b) + 0.5 * (b - a) * step->rule.node[i];
		double		density = gr_panel_integrate(step, KERNEL_DENSITY, s);

		x[i] = s / step->root;
		w[i] = density * 0.5 * (b - a) * step->rule.weight[i];
		top[0] += density * step->rule.top[0][i];
		top[1] += density * step->rule.top[1][i];
		largest = fmax(largest, density);
	}
	return fabs(top[0]) + fabs(top[1])
		<= tolerance * largest + 1e-22 / step->root;
}

/*
 * Edges to begin with: the region's ends, and around both ends of the last
 * region, where the density has its kinks.  Ascending; returns how many.
 */
static int
first_edges(const Step *step, double low, double high, double *edges)
{
	const GrLookState *from = step->from;
	double		candidates[8];
	double		gap = 0.01 * step->sigma;	/* no panel narrower than this */
	int			n = 0;
	int			m = 0;

	candidates[n++] = 0.0;
	if (from->looks > 0 && from->npoints > 0)
	{
		double		center;
		double		half;
		double		last;

		gr_panel_extent(step, from->x + from->npoints - NODES, &center, &half);
		last = center + half;
		for (int sign = -1; sign <= 1; sign += 2)
		{
			candidates[n++] = sign * last - 8.0 * step->sigma;
			candidates[n++] = sign * last;
			candidates[n++] = sign * last + 8.0 * step->sigma;
		}
	}
	edges[m++] = low;
	for (;;)
	{
		double		next = high;

		for (int i = 0; i < n; i++)
		{
			if (candidates[i] > edges[m - 1] + gap && candidates[i] < next &&
				candidates[i] < high - gap)
				next = candidates[i];
		}
		edges[m++] = next;
		if (next == high)
			return m;
	}
}

/*
 * May a bend of the density lie unseen between the nodes of [a, b]?  The last
 * density was resolved by its panels, and convolution only widens its bends: a
 * panel a few times as wide as those below it, or the kernel, cannot miss one.
 */
static bool
panel_too_wide(const Step *step, double a, double b)
{
	const GrLookState *from = step->from;

	if (b - a <= WIDEST_UNSEEN * step->sigma)
		return false;
	for (int k = 0; k < from->npoints; k += NODES)
	{
		double		center;
		double		half;

		gr_panel_extent(step, from->x + k, &center, &half);
		if (center - half < b && center + half > a &&
			b - a > WIDEST_GROWTH * 2.0 * half)
			return true;
	}
	return false;
}

/*
 * Panels over [low, high], halved until settled.  False when that takes more
 * than there is room for.
 */
static bool
build_panels(const Step *step, double low, double high, double tolerance,
			 GrLookState *next)
{
	double		edges[MAX_PANELS + 10];	/* descending: the next one last */
	double		initial[10];
	int			left = first_edges(step, low, high, initial);

	for (int i = 0; i < left; i++)
		edges[i] = initial[left - 1 - i];
	next->npoints = 0;
	while (left > 1)
	{
		double		a = edges[left - 1];
		double		b = edges[left - 2];
		double		middle = 0.5 * (a + b);

		if (next->npoints / NODES + left - 1 > MAX_PANELS)
			return false;
		if ((!panel_too_wide(step, a, b) &&
			 sample_panel(step, a, b, tolerance, next->x + next->npoints,
						  next->w + next->npoints)) ||
			b - a <= NARROWEST_PANEL * step->sigma)
		{
			next->npoints += NODES;
			left--;
			continue;
		}
		edges[left - 1] = middle;
		edges[left++] = a;
	}
	return true;
}

static double
mass(const GrLookState *state)
{
	double		sum = 0.0;

	if (state->looks == 0)
		return 1.0;
	for (int i = 0; i < state->npoints; i++)
		sum += state->w[i];
	return sum;
}

/*
 * What had not crossed before either crosses now or has not crossed yet: a
 * density so narrow that the first nodes passed over it would show here.
 */
static bool
mass_is_kept(const GrLookState *from, const GrLookState *next)
{
	return fabs(mass(from) - mass(next) - (next->spent - from->spent))
		<= WORST_MASS;
}

static GrCode
next_state(const Step *step, double t, double bound, double spent,
		   GrLookState *next)
{
	double		high = fmin(bound, HIGHEST_Z) * step->root;
	double		low = step->from->sides == 2 ? -high : LOWEST_Z * step->root;

	gr_look_init(next, step->from->sides);
	next->looks = step->from->looks + 1;
	next->t = t;
	next->spent = spent;
	if (!(low < high))
		return GR_NO_CONVERGENCE;
	for (double tolerance = 1e-10; tolerance < 1e-5; tolerance *= 30.0)
	{
		if (build_panels(step, low, high, tolerance, next))
			return mass_is_kept(step->from, next) ? GR_OK : GR_NO_CONVERGENCE;
	}
	return GR_NO_CONVERGENCE;
}

/* ---- looks ----------------------------------------------------------------- */

void
gr_look_init(GrLookState *state, int sides)
{
	memset(state, 0, sizeof(*state));
	state->sides = sides;
}

bool
gr_look_valid(const GrLookState *state)
{
	if ((state->sides != 1 && state->sides != 2) || state->looks < 0 ||
		state->npoints < 0 || state->npoints > GR_GRID ||
		state->npoints % NODES != 0 ||
		!(state->t >= 0.0) || isinf(state->t) ||
		!(state->spent >= 0.0 && state->spent <= 1.0))
		return false;
	if (state->looks == 0)
		return state->t == 0.0 && state->npoints == 0 && state->spent == 0.0;
	if (state->t == 0.0 || state->npoints == 0)
		return false;
	for (int i = 0; i < state->npoints; i++)
	{
		if (!(fabs(state->x[i]) <= 100.0) ||
			!(state->w[i] >= 0.0 && state->w[i] <= 1.0) ||
			(i > 0 && !(state->x[i] > state->x[i - 1])))
			return false;
	}
	return true;
}

static GrCode
init_step(Step *step, const GrLookState *state, double t)
{
	if (!gr_look_valid(state) || !(t - state->t > LEAST_STEP * t) ||
		isinf(t) || !(t >= DBL_MIN) || state->looks >= GR_MAX_LOOKS)
		return GR_BAD_ARGUMENT;
	gr_panel_init_step(step, state, t);
	return GR_OK;
}

/*
 * The z beyond which a path that has not crossed lies with probability p:
 * Newton's method on the logarithm, kept inside a bracket.
 */
static GrCode
find_bound(const Step *step, double p, double *bound)
{
	double		low = step->from->sides == 2 ? 0.0 : LOWEST_Z;
	double		high = 45.0;
	double		z = fmin(fmax(gr_normal_isf(fmin(p, 0.5)), low), 12.0);

	if (step->from->looks == 0)
	{
		*bound = gr_normal_isf(p);
		return GR_OK;
	}
	if (!(gr_panel_integrate(step, KERNEL_TAIL, low * step->root) > p))
		return GR_BAD_ARGUMENT;
	for (int i = 0; i < 200; i++)
	{
		double		tail = gr_panel_integrate(step, KERNEL_TAIL, z * step->root);
		double		slope = step->root
			* gr_panel_integrate(step, KERNEL_DENSITY, z * step->root);
		double		next = z + log(tail / p) * tail / slope;

		if (tail > p)
			low = z;
		else
			high = z;
		if (!(next > low && next < high))
			next = 0.5 * (low + high);
		if (fabs(next - z) <= 1e-12 * fmax(1.0, fabs(z)))
		{
			*bound = next;
			return GR_OK;
		}
		z = next;
	}
	return GR_NO_CONVERGENCE;
}

GrCode
gr_look_bound(const GrLookState *state, double t, double spent,
			  double *bound, GrLookState *next)
{
	Step		step;
	double		rest = spent - state->spent;
	GrCode		code = init_step(&step, state, t);

	*bound = NAN;
	if (next != NULL && next != state)
		gr_look_init(next, state->sides);
	if (code != GR_OK)
		return code;
	if (!(spent >= 0.0 && spent < 1.0) || next == state)
		return GR_BAD_ARGUMENT;

	if (!(rest > LEAST_SPENT))
	{
		rest = 0.0;
		*bound = INFINITY;
	}
	else
		code = find_bound(&step, rest / state->sides, bound);
	if (code == GR_OK && next != NULL)
		code = next_state(&step, t, *bound, rest > 0.0 ? spent : state->spent,
						  next);
	if (code != GR_OK)
		*bound = NAN;
	return code;
}

GrCode
gr_look_spent(const GrLookState *state, double t, double bound,
			  double *spent, GrLookState *next)
{
	Step		step;
	double		tail;
	GrCode		code = init_step(&step, state, t);

	*spent = NAN;
	if (next != NULL && next != state)
		gr_look_init(next, state->sides);
	if (code != GR_OK)
		return code;
	if (isnan(bound) || next == state ||
		bound < (state->sides == 2 ? 0.0 : LOWEST_Z))
		return GR_BAD_ARGUMENT;

	tail = isinf(bound) ? 0.0
		: gr_panel_integrate(&step, KERNEL_TAIL, bound * step.root);
	*spent = fmin(state->spent + state->sides * tail, 1.0);
	if (next != NULL)
		code = next_state(&step, t, bound, *spent, next);
	if (code != GR_OK)
		*spent = NAN;
	return code;
}
