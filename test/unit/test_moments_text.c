/*
 * test_moments_text.c
 *	  Moments as text, and what is not a state.
 *
 * Expected: print and parse are inverse to each other.
 */
#include "unit.h"
#include "stats.h"

static void
random_moments(Random *r, GrMoments *m)
{
	int			n = random_below(r, 6);
	int			scale = random_below(r, 5);

	gr_moments_init(m, 1 + random_below(r, GR_MAX_DIM));
	for (int i = 0; i < n; i++)
	{
		double		x[GR_MAX_DIM];

		for (int k = 0; k < GR_MAX_DIM; k++)
			x[k] = random_normal(r) * (scale == 0 ? 1e100 : scale == 1 ? 1e-160
									   : scale == 2 ? 1e-320 : 1.0);
		gr_moments_add(m, x);
	}
}

/* print and parse lose nothing; print keeps to its buffer. */
static void
test_round_trip(void)
{
	Random		r = 13;
	bool		ok = true;

	for (int i = 0; i < 20000; i++)
	{
		GrMoments	m;
		GrMoments	back;
		char		text[4000];
		char		part[4000];
		int			length;
		int			size = random_below(&r, 200);

		random_moments(&r, &m);
		length = gr_moments_print(&m, text, sizeof(text));
		ok = ok && length == (int) strlen(text) && gr_moments_valid(&m) &&
			gr_moments_parse(text, &back) &&
			memcmp(&m, &back, sizeof(m)) == 0;

		memset(part, 'x', sizeof(part));
		ok = ok && gr_moments_print(&m, part, (size_t) size) == length &&
			part[size] == 'x' &&
			(size == 0 || strncmp(part, text, (size_t) size - 1) == 0);
		ok = ok && gr_moments_print(&m, NULL, 0) == length;
	}
	CHECK(ok);
}

/* Mutated text is refused or gives moments that keep the invariants. */
static void
test_mutations(void)
{
	static const char alphabet[] = "0123456789eE+-.,= \tvnsumlowpdct\"xX\x80";
	Random		r = 14;
	int			accepted = 0;
	bool		ok = true;

	for (int i = 0; i < 100000; i++)
	{
		GrMoments	m;
		char		text[4200];
		char	   *exact;
		size_t		length;
		int			edits = 1 + random_below(&r, 4);

		random_moments(&r, &m);
		gr_moments_print(&m, text, 4000);
		length = strlen(text);
		for (int k = 0; k < edits && length > 0; k++)
		{
			size_t		at = (size_t) random_below(&r, (int) length);
			char		c = alphabet[random_below(&r, sizeof(alphabet) - 1)];

			switch (random_below(&r, 4))
			{
				case 0:
					text[at] = c;
					break;
				case 1:
					memmove(text + at + 1, text + at, length - at + 1);
					text[at] = c;
					length++;
					break;
				case 2:
					memmove(text + at, text + at + 1, length - at);
					length--;
					break;
				case 3:
					text[at] = '\0';
					length = at;
					break;
			}
		}
		/* a copy of its own size, so that a read beyond the end is seen */
		exact = malloc(length + 1);
		memcpy(exact, text, length + 1);
		if (gr_moments_parse(exact, &m))
		{
			accepted++;
			ok = ok && gr_moments_valid(&m) && m.dim >= 1 &&
				m.dim <= GR_MAX_DIM;
		}
		free(exact);
	}
	CHECK(ok);
	CHECK(accepted > 0);
}

/* Any bytes as a state: no harm, and the invariants hold where it is valid. */
static void
test_arbitrary_states(void)
{
	Random		r = 15;
	bool		ok = true;

	for (int i = 0; i < 50000; i++)
	{
		GrMoments	m;
		GrMoments	other;
		double		x[GR_MAX_DIM] = {1.0, 2.0, 3.0};
		char		text[1000];

		gr_moments_init(&m, random_below(&r, 6) - 1);
		m.n = (int64_t) random_bits(&r) >> random_below(&r, 64);
		for (int k = 0; k < GR_MAX_DIM; k++)
		{
			m.sum_hi[k] = random_double(&r);
			m.sum_lo[k] = random_below(&r, 2) ? 0.0 : random_double(&r);
		}
		for (int k = 0; k < GR_MAX_PRODUCTS; k++)
			m.product[k] = random_double(&r);
		if (gr_moments_valid(&m))
		{
			gr_moments_print(&m, text, sizeof(text));
			ok = ok && gr_moments_parse(text, &other);
		}
		gr_moments_print(&m, text, sizeof(text));
		(void) gr_moments_mean(&m, 2);
		(void) gr_moments_cov(&m, 0, 2);
		random_moments(&r, &other);
		(void) gr_moments_merge(&other, &m);
		(void) gr_moments_add(&m, x);
	}
	CHECK(ok);
}

int
main(void)
{
	gr_stats_init();
	test_round_trip();
	test_mutations();
	test_arbitrary_states();
	return unit_report();
}
