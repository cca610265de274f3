/*
 * fuzz_power.c
 *	  Sample size and minimum detectable effect.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	double		sd = take_double(&in);
	double		effect = take_double(&in);
	double		margin = take_double(&in);
	double		alpha = take_below(&in, 4) == 0 ? take_double(&in) : take_unit(&in);
	double		power = take_below(&in, 4) == 0 ? take_double(&in) : take_unit(&in);
	double		ratio = take_double(&in);
	int			sides = take_below(&in, 4);
	double		n;
	double		back;
	GrCode		code = gr_sample_size(sd, effect, margin, alpha, power, sides,
									  ratio, &n);

	EXPECT((code == GR_OK) == !isnan(n));
	if (code == GR_OK)
		EXPECT(n >= 0.0 && isfinite(n));
	code = gr_mde(sd, n * ratio, n, alpha, power, sides, &back);
	EXPECT((code == GR_OK) == !isnan(back));
	if (code == GR_OK)
		EXPECT(back >= 0.0 && isfinite(back));
	/* each undoes the other while nothing is near the ends of the range */
	if (code == GR_OK && back > 0.0 && n > 1e-100 && n < 1e100 &&
		n * ratio > 1e-100 && n * ratio < 1e100 && sd > 1e-100 && sd < 1e100)
		EXPECT_WITH(near(back, fabs(effect - margin), 1e-9),
					"n %.17g effect %.17g back %.17g", n,
					fabs(effect - margin), back);
	code = gr_mde(sd, take_double(&in), take_double(&in), alpha, power, sides,
				  &back);
	EXPECT((code == GR_OK) == !isnan(back));
	return 0;
}
