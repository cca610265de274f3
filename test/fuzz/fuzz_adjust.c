/*
 * fuzz_adjust.c
 *	  Adjusted p-values, and the levels whose bounds agree with them.
 */
#include "fuzz.h"

#define MAX_TESTS 40

static void
check_adjusted(const double *p, const double *adjusted, int n)
{
	for (int i = 0; i < n; i++)
	{
		EXPECT(is_probability(adjusted[i]) && adjusted[i] >= p[i]);
		for (int j = 0; j < n; j++)
			EXPECT(p[i] > p[j] || adjusted[i] <= adjusted[j]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	double		p[MAX_TESTS];
	double		alpha[MAX_TESTS];
	double		adjusted[MAX_TESTS];
	double		again[MAX_TESTS];
	double		divisor[MAX_TESTS];
	int			order[MAX_TESTS];
	int			n = take_below(&in, MAX_TESTS);
	GrAdjust	method = (GrAdjust) take_below(&in, 6);
	bool		wild = take_below(&in, 4) == 0;
	bool		bad = method > GR_ADJUST_BH;
	double		level = take_unit(&in);
	GrCode		code;

	for (int i = 0; i < n; i++)
	{
		/* ties, tiny numbers, and levels that are multiples of p */
		switch (take_below(&in, 4))
		{
			case 0:
				p[i] = i > 0 ? p[i - 1] : 0.0;
				break;
			case 1:
				p[i] = take_scale(&in, -320.0, 0.0);
				break;
			case 2:
				p[i] = level / (1 + take_below(&in, MAX_TESTS));
				break;
			default:
				p[i] = take_unit(&in);
		}
		if (wild)
			p[i] = take_double(&in);
		alpha[i] = take_below(&in, 2) ? level : take_unit(&in);
		bad = bad || !is_probability(p[i]);
	}
	code = gr_p_adjust(p, n, method, adjusted, order);
	EXPECT((code == GR_OK) == !bad);
	if (code == GR_OK)
		check_adjusted(p, adjusted, n);
	else
		for (int i = 0; i < n; i++)
			EXPECT(isnan(adjusted[i]));

	code = gr_p_adjust_divisor(p, alpha, n, method, divisor, again, order);
	if (bad || method == GR_ADJUST_BH)
	{
		EXPECT(code == GR_BAD_ARGUMENT);
		return 0;
	}
	EXPECT(code == GR_OK);
	for (int i = 0; i < n; i++)
	{
		EXPECT(again[i] == adjusted[i]);
		EXPECT(divisor[i] > 0.999 && divisor[i] < n + 0.001);
		EXPECT_WITH((p[i] <= alpha[i] / divisor[i]) == (adjusted[i] <= alpha[i]),
					"p %.17g adjusted %.17g alpha %.17g divisor %.17g", p[i],
					adjusted[i], alpha[i], divisor[i]);
	}
	return 0;
}
