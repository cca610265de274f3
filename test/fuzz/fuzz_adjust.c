/*
 * fuzz_adjust.c
 *	  Adjusted p-values, and the levels whose bounds agree with them; e-values.
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

/* One level for all: what is rejected is what the definition of e-BH rejects. */
static void
check_rejected(const double *log_e, const double *adjusted, int n, double alpha)
{
	int			rejected = 0;

	for (int i = 0; i < n; i++)
		rejected += adjusted[i] <= alpha;
	for (int k = n; k > 0; k--)
	{
		double		needed = log(n / (k * alpha));
		int			reached = 0;
		int			nearly = 0;

		for (int i = 0; i < n; i++)
		{
			reached += log_e[i] >= needed + 1e-9;
			nearly += log_e[i] >= needed - 1e-9;
		}
		/* on the edge rounding decides */
		if (nearly != reached && nearly >= k)
			return;
		if (reached >= k)
		{
			EXPECT_WITH(rejected == reached, "%d rejected, %d reach %g", rejected, reached, needed);
			return;
		}
	}
	EXPECT(rejected == 0);
}

static void
fuzz_e_values(Input *in)
{
	double		log_e[MAX_TESTS];
	double		alpha[MAX_TESTS];
	double		scaled[MAX_TESTS];
	double		adjusted[MAX_TESTS];
	int			order[MAX_TESTS];
	int			n = take_below(in, MAX_TESTS);
	bool		wild = take_below(in, 4) == 0;
	bool		one_level = take_below(in, 2) == 0;
	bool		bad = false;
	GrCode		code;

	for (int i = 0; i < n; i++)
	{
		log_e[i] = wild ? take_double(in) : i > 0 && take_below(in, 4) == 0 ? log_e[i - 1] :
			20 * take_unit(in) - 5;
		alpha[i] = one_level && i > 0 ? alpha[0] : wild ? take_double(in) : take_unit(in);
		bad = bad || isnan(log_e[i]) || !(alpha[i] > 0.0 && alpha[i] < 1.0);
	}
	code = gr_e_bh(log_e, alpha, n, scaled, adjusted, order);
	EXPECT((code == GR_OK) == !bad);
	for (int i = 0; code == GR_OK && i < n; i++)
	{
		EXPECT(adjusted[i] >= 0.0);
		for (int j = 0; j < n; j++)
			EXPECT(alpha[i] != alpha[j] || log_e[i] < log_e[j] || adjusted[i] <= adjusted[j]);
	}
	/* below that 1/e is no double */
	if (code == GR_OK && one_level && n > 0 && alpha[0] > 1e-300)
		check_rejected(log_e, adjusted, n, alpha[0]);
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

	if (take_below(&in, 4) == 0)
	{
		fuzz_e_values(&in);
		return 0;
	}
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
