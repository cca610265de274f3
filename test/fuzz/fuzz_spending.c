/*
 * fuzz_spending.c
 *	  Spending functions: within the level, and never decreasing.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	GrSpending	spending = (GrSpending) take_below(&in, 4);
	double		phi = take_double(&in);
	double		alpha = take_double(&in);
	int			sides = take_below(&in, 4);
	double		t[2] = {take_double(&in), take_double(&in)};
	double		spent[2];

	for (int i = 0; i < 2; i++)
	{
		spent[i] = gr_alpha_spent(spending, phi, t[i], alpha, sides);
		EXPECT_WITH(isnan(spent[i]) || (spent[i] >= 0.0 && spent[i] <= alpha),
					"spending %d phi %.17g alpha %.17g sides %d t %.17g: %.17g",
					(int) spending, phi, alpha, sides, t[i], spent[i]);
		if (t[i] >= 1.0 && !isnan(spent[i]))
			EXPECT(spent[i] == alpha);
	}
	if (t[0] <= t[1] && !isnan(spent[0]))
		EXPECT_WITH(spent[0] <= spent[1] * (1.0 + 1e-12),
					"spending %d phi %.17g alpha %.17g sides %d t %.17g: %.17g, t "
					"%.17g: %.17g", (int) spending, phi, alpha, sides, t[0],
					spent[0], t[1], spent[1]);
	return 0;
}
