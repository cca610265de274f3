/*
 * fuzz_sequential.c
 *	  Mixture e-values and their multipliers.
 */
#include "fuzz.h"

static void
check_any(Input *in)
{
	double		n = take_double(in);
	double		alpha = take_double(in);
	int			sides = take_below(in, 4);
	double		rho = gr_mixture_rho(n, alpha, sides);
	double		z = take_double(in);
	double		c;
	double		log_e;

	EXPECT(isnan(rho) || (rho > 0.0 && isfinite(rho)));
	if (take_below(in, 2) == 0)
		rho = take_double(in);
	log_e = gr_mixture_log_e(z, n, rho, sides);
	if ((sides == 1 || sides == 2) && !isnan(z) && n >= 0.0 && isfinite(n) &&
		rho > 0.0 && isfinite(rho))
		EXPECT_WITH(!isnan(log_e), "z %.17g n %.17g rho %.17g sides %d", z, n,
					rho, sides);
	else
		EXPECT(isnan(log_e));
	c = gr_mixture_multiplier(n, rho, alpha, sides);
	EXPECT_WITH(isnan(c) || c > 0.0, "n %.17g rho %.17g alpha %.17g: %.17g", n,
				rho, alpha, c);
	if ((sides == 1 || sides == 2) && n >= 0.0 && isfinite(n) && rho > 0.0 &&
		isfinite(rho) && alpha > 0.0 && alpha < 1.0)
		EXPECT_WITH(!isnan(c), "n %.17g rho %.17g alpha %.17g", n, rho, alpha);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	int			sides = 1 + take_below(&in, 2);
	double		n = take_scale(&in, -3.0, 15.0);
	double		n_star = take_scale(&in, 0.0, 12.0);
	double		tuned = take_scale(&in, -15.0, -0.5);
	double		alpha = take_scale(&in, -300.0, -0.001);
	double		z = take_scale(&in, -6.0, 6.0);
	double		rho = gr_mixture_rho(n_star, tuned, sides);
	double		c;
	double		at;
	double		log_e;

	check_any(&in);
	EXPECT(rho > 0.0 && rho <= n_star * 1e6);
	c = gr_mixture_multiplier(n, rho, alpha, sides);
	at = gr_mixture_log_e(c, n, rho, sides);
	EXPECT_WITH(c > 0.0 && fabs(at + log(alpha)) <= 1e-10 * (1.0 - log(alpha)),
				"n %.17g rho %.17g alpha %.17g: c %.17g log e %.17g", n, rho,
				alpha, c, at);
	/* a bound and its e-value agree */
	log_e = gr_mixture_log_e(z, n, rho, sides);
	if (fabs(z - c) > 1e-9 * c)
		EXPECT((z > c) == (log_e > -log(alpha)));
	/* evidence against the other side is none; two-sided it is the same */
	if (sides == 1)
		EXPECT(gr_mixture_log_e(-z, n, rho, 1) <= log_e);
	else
		EXPECT(gr_mixture_log_e(-z, n, rho, 2) == log_e);
	/* a smaller level needs a larger multiplier */
	EXPECT(gr_mixture_multiplier(n, rho, alpha * 0.5, sides) > c);
	return 0;
}
