/*
 * panel.c
 *	  Integrals over a density that is kept on Gauss-Legendre panels.
 *
 * A panel that is wide beside the kernel is interpolated inside the kernel's
 * reach; the others are summed over their own nodes.
 */
#include "panel.h"

#include <math.h>

/* A panel is integrated by its own nodes up to this half width, in sigmas. */
#define WIDEST_PANEL 2.5

/* ---- the rule ------------------------------------------------------------- */

static void
init_rule(Rule *rule)
{
	static const double node[NODES / 2] = {
		0.0950125098376374402, 0.281603550779258913,
		0.458016777657227386, 0.617876244402643748,
		0.755404408355003034, 0.865631202387831744,
		0.944575023073232576, 0.989400934991649933
	};
	static const double weight[NODES / 2] = {
		0.189450610455068496, 0.182603415044923589,
		0.169156519395002538, 0.149595988816576732,
		0.124628971255533872, 0.0951585116824927848,
		0.0622535239386478929, 0.0271524594117540949
	};

	for (int i = 0; i < NODES; i++)
	{
		int			k = i < NODES / 2 ? NODES / 2 - 1 - i : i - NODES / 2;
		double		x = i < NODES / 2 ? -node[k] : node[k];
		double		p0 = 1.0;
		double		p1 = x;

		rule->node[i] = x;
		rule->weight[i] = weight[k];
		rule->bary[i] = (i % 2 == 0 ? 1.0 : -1.0)
			* sqrt((1.0 - x * x) * weight[k]);
		/* up to p1 = P_15(x), p0 = P_14(x) */
		for (int n = 2; n < NODES; n++)
		{
			double		p2 = ((2.0 * n - 1.0) * x * p1 - (n - 1.0) * p0) / n;

			p0 = p1;
			p1 = p2;
		}
		rule->top[0][i] = (NODES - 1.5) * weight[k] * p0;
		rule->top[1][i] = (NODES - 0.5) * weight[k] * p1;
	}
}

/* The polynomial through 16 values at u in [-1, 1], barycentric form. */
static double
interpolate(const Rule *rule, const double *values, double u)
{
	double		above = 0.0;
	double		below = 0.0;

	for (int i = 0; i < NODES; i++)
	{
		double		distance = u - rule->node[i];
		double		c;

		if (distance == 0.0)
			return values[i];
		c = rule->bary[i] / distance;
		above += c * values[i];
		below += c;
	}
	return above / below;
}

/* ---- integrals over the last density -------------------------------------- */

static double
kernel_value(const Step *step, Kernel kernel, double distance)
{
	double		d = distance / step->sigma;

	if (kernel == KERNEL_TAIL)
		return gr_normal_sf(d);
	return 0.39894228040143267794 / step->sigma * exp(-0.5 * d * d);
}

/*
 * The part of a panel between a and b, on pieces narrow enough for the kernel.
 */
static double
integrate_part(const Step *step, Kernel kernel, double s, const double *values,
			   double center, double half, double a, double b)
{
	int			pieces = (int) ceil((b - a) / (4.0 * step->sigma));
	double		width;
	double		sum = 0.0;

	if (pieces < 1)
		pieces = 1;
	width = (b - a) / pieces;
	for (int k = 0; k < pieces; k++)
	{
		double		middle = a + (k + 0.5) * width;

		for (int i = 0; i < NODES; i++)
		{
			double		u = middle + 0.5 * width * step->rule.node[i];

			sum += 0.5 * width * step->rule.weight[i]
				* interpolate(&step->rule, values, (u - center) / half)
				* kernel_value(step, kernel, s - u);
		}
	}
	return sum;
}

/* What lies above the kernel's reach counts in full for a tail. */
static double
integrate_rest(const Step *step, const double *values, double center,
			   double half, double a, double b)
{
	double		sum = 0.0;

	for (int i = 0; i < NODES; i++)
	{
		double		u = 0.5 * (a + b) + 0.5 * (b - a) * step->rule.node[i];

		sum += 0.5 * (b - a) * step->rule.weight[i]
			* interpolate(&step->rule, values, (u - center) / half);
	}
	return sum;
}

/* The nodes do not reach a panel's edges. */
void
gr_panel_extent(const Step *step, const double *x, double *center,
				double *half)
{
	*center = 0.5 * (x[0] + x[NODES - 1]) * step->root_from;
	*half = (x[NODES - 1] - x[0]) / (2.0 * step->rule.node[NODES - 1])
		* step->root_from;
}

static double
integrate_panel(const Step *step, Kernel kernel, double s, double reach,
				const double *x, const double *w)
{
	double		center;
	double		half;
	double		low;
	double		high;
	double		values[NODES];
	double		sum = 0.0;

	gr_panel_extent(step, x, &center, &half);
	low = center - half;
	high = center + half;
	if (high < s - reach || (kernel == KERNEL_DENSITY && low > s + reach))
		return 0.0;
	if (half <= WIDEST_PANEL * step->sigma || low > s + reach)
	{
		for (int i = 0; i < NODES; i++)
			sum += w[i] * kernel_value(step, kernel,
									   s - x[i] * step->root_from);
		return sum;
	}

	for (int i = 0; i < NODES; i++)
		values[i] = w[i] / (step->rule.weight[i] * half);
	if (kernel == KERNEL_TAIL && high > s + reach)
		sum = integrate_rest(step, values, center, half, s + reach, high);
	return sum + integrate_part(step, kernel, s, values, center, half,
								fmax(low, s - reach), fmin(high, s + reach));
}

/*
 * The reach follows the free path: given S = s the earlier score lies around
 * s t_from / t, so that the distance is z sqrt(increment / t) sigmas.
 */
double
gr_panel_integrate(const Step *step, Kernel kernel, double s)
{
	const GrLookState *from = step->from;
	double		z = fabs(s) / step->root;
	double		reach = step->sigma
		* (9.0 + fmin(z, 40.0) * step->sigma / step->root);
	double		sum = 0.0;

	if (from->looks == 0)
		return kernel_value(step, kernel, s);
	for (int k = 0; k < from->npoints; k += NODES)
		sum += integrate_panel(step, kernel, s, reach, from->x + k,
							   from->w + k);
	return fmax(sum, 0.0);
}

void
gr_panel_init_step(Step *step, const GrLookState *from, double t)
{
	step->from = from;
	step->root_from = sqrt(from->t);
	step->root = sqrt(t);
	step->sigma = sqrt(t - from->t);
	init_rule(&step->rule);
}
