/*
 * adjust.c
 *	  Adjusted p-values, and the level that each test was held to.
 *
 * An adjusted p-value is at most its level exactly when the p-value is at most the level
 * over its divisor, so bounds and adjusted p-values agree.
 */
#include "stats.h"

#include <math.h>

/* Does test a come before test b?  Ties by place, so the order is one. */
static bool
before(const double *p, int a, int b)
{
	return p[a] < p[b] || (p[a] == p[b] && a < b);
}

static void
sift_down(const double *p, int *order, int root, int n)
{
	for (;;)
	{
		int			child = root;
		int			swap;

		if (root >= n / 2)
			return;
		child = 2 * root + 1;
		if (child + 1 < n && before(p, order[child], order[child + 1]))
			child++;
		if (!before(p, order[root], order[child]))
			return;
		swap = order[root];
		order[root] = order[child];
		order[child] = swap;
		root = child;
	}
}

/* order[] := the tests by ascending p (heapsort). */
static void
sort_by_p(const double *p, int n, int *order)
{
	for (int i = 0; i < n; i++)
		order[i] = i;
	for (int i = n / 2 - 1; i >= 0; i--)
		sift_down(p, order, i, n);
	for (int end = n - 1; end > 0; end--)
	{
		int			swap = order[0];

		order[0] = order[end];
		order[end] = swap;
		sift_down(p, order, 0, end);
	}
}

/* The factor of the test of rank k (0 is the smallest p). */
static double
step_factor(GrAdjust method, int n, int k)
{
	switch (method)
	{
		case GR_ADJUST_NONE:
			return 1.0;
		case GR_ADJUST_BONFERRONI:
			return n;
		case GR_ADJUST_HOLM:
		case GR_ADJUST_HOCHBERG:
			return n - k;
		case GR_ADJUST_BH:
			return (double) n / (k + 1);
	}
	return NAN;
}

GrCode
gr_p_adjust(const double *p, int n, GrAdjust method, double *adjusted,
			int *order)
{
	bool		bad = n < 0 || (method != GR_ADJUST_NONE &&
								method != GR_ADJUST_BONFERRONI &&
								method != GR_ADJUST_HOLM &&
								method != GR_ADJUST_HOCHBERG &&
								method != GR_ADJUST_BH);
	double		bound;

	for (int i = 0; i < n; i++)
	{
		adjusted[i] = NAN;
		if (!(p[i] >= 0.0 && p[i] <= 1.0))
			bad = true;
	}
	if (bad)
		return GR_BAD_ARGUMENT;

	sort_by_p(p, n, order);
	for (int k = 0; k < n; k++)
		adjusted[order[k]] =
			fmin(1.0, step_factor(method, n, k) * p[order[k]]);

	/* step down: no smaller than any before; step up: no larger than any after */
	if (method == GR_ADJUST_HOLM)
	{
		bound = 0.0;
		for (int k = 0; k < n; k++)
			bound = adjusted[order[k]] = fmax(bound, adjusted[order[k]]);
	}
	else if (method == GR_ADJUST_HOCHBERG || method == GR_ADJUST_BH)
	{
		bound = 1.0;
		for (int k = n - 1; k >= 0; k--)
			bound = adjusted[order[k]] = fmin(bound, adjusted[order[k]]);
	}
	return GR_OK;
}

/*
 * The rank whose factor test "k" is held to.  Every test has a level of its
 * own, so each looks for the step that decides at that level.
 */
static int
deciding_rank(const double *p, const int *order, int n, int k, double alpha,
			  bool rejected, GrAdjust method)
{
	if (method == GR_ADJUST_HOLM && !rejected)
	{
		for (int j = 0; j < k; j++)
		{
			if (step_factor(method, n, j) * p[order[j]] > alpha)
				return j;
		}
	}
	if (method == GR_ADJUST_HOCHBERG && rejected)
	{
		for (int j = k; j < n; j++)
		{
			if (step_factor(method, n, j) * p[order[j]] <= alpha)
				return j;
		}
	}
	return k;
}

/* factor * p <= alpha and p <= alpha / factor may differ in the last bit. */
static double
settle_divisor(double p, double alpha, double divisor, bool rejected)
{
	double		toward = rejected ? 0.0 : INFINITY;

	for (int i = 0; i < 4 && (p <= alpha / divisor) != rejected; i++)
		divisor = nextafter(divisor, toward);
	return divisor;
}

GrCode
gr_p_adjust_divisor(const double *p, const double *alpha, int n,
					GrAdjust method, double *divisor, double *adjusted,
					int *order)
{
	GrCode		code = gr_p_adjust(p, n, method, adjusted, order);

	for (int i = 0; i < n; i++)
	{
		divisor[i] = NAN;
		if (!(alpha[i] >= 0.0 && alpha[i] < 1.0))
			code = GR_BAD_ARGUMENT;
	}
	if (code == GR_OK && method == GR_ADJUST_BH)
		code = GR_BAD_ARGUMENT;
	if (code != GR_OK)
		return code;

	for (int k = 0; k < n; k++)
	{
		int			i = order[k];
		bool		rejected = adjusted[i] <= alpha[i];
		int			rank = deciding_rank(p, order, n, k, alpha[i], rejected,
										 method);

		divisor[i] = settle_divisor(p[i], alpha[i],
									step_factor(method, n, rank), rejected);
	}
	return GR_OK;
}

GrCode
gr_bh(const double *p, const double *alpha, int n, double *scaled,
	  double *adjusted, int *order)
{
	double		greatest = 0.0;
	GrCode		code;

	for (int i = 0; i < n; i++)
	{
		if (!(alpha[i] > 0.0 && alpha[i] < 1.0))
			return GR_BAD_ARGUMENT;
		greatest = fmax(greatest, alpha[i]);
	}
	/* what is no p-value stays what it is, and is refused */
	for (int i = 0; i < n; i++)
	{
		if (!(p[i] > 0.0 && p[i] <= 1.0))
			scaled[i] = p[i];
		else if (p[i] > alpha[i] / greatest)
			scaled[i] = 1.0;
		else
			scaled[i] = fmin(p[i] * (greatest / alpha[i]), 1.0);
	}
	code = gr_p_adjust(scaled, n, GR_ADJUST_BH, adjusted, order);
	for (int i = 0; code == GR_OK && i < n; i++)
	{
		double		own = adjusted[i] * (alpha[i] / greatest);

		/* not decided by the last bit of a product */
		adjusted[i] = adjusted[i] <= greatest ? fmin(own, alpha[i]) :
			fmax(own, nextafter(alpha[i], 1.0));
	}
	return code;
}

GrCode
gr_e_bh(const double *log_e, const double *alpha, int n, double *scaled,
		double *adjusted, int *order)
{
	for (int i = 0; i < n; i++)
		scaled[i] = log_e[i] > 0.0 ? exp(-log_e[i]) : isnan(log_e[i]) ? NAN : 1.0;
	return gr_bh(scaled, alpha, n, scaled, adjusted, order);
}
