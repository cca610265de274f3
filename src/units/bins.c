/*
 * bins.c
 *	  Histograms out of bins as they come.
 */
#include "units/bins.h"

#include "port/pg_bitutils.h"
#include "base/varint.h"

/*
 * Bins that lie within so many are counted in a table that is there already.  All
 * of it is 0 between calls: nothing may fail while it is not.
 */
#define TABLE_RANGE 65536
static uint32 table_count[TABLE_RANGE];
static uint64 table_used[TABLE_RANGE / 64];

void
gr_buffer_bins(BinBuffer *buffer, const int32 *bin, Size n)
{
	if (buffer->n + n > buffer->capacity)
	{
		buffer->capacity = Max(2 * buffer->capacity, buffer->n + n + 64);
		if (buffer->bin == NULL)
			buffer->bin = palloc_extended(sizeof(int32) * buffer->capacity, MCXT_ALLOC_HUGE);
		else
			buffer->bin = repalloc_huge(buffer->bin, sizeof(int32) * buffer->capacity);
	}
	memcpy(buffer->bin + buffer->n, bin, sizeof(int32) * n);
	buffer->n += n;
}

static int
compare_int32(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return (x > y) - (x < y);
}

/* Sorted in place when the values are spread wide, ... */
static void
bins_by_sorting(BinBuffer *buffer, BinList *out)
{
	qsort(buffer->bin, buffer->n, sizeof(int32), compare_int32);
	out->bins = palloc_extended(sizeof(GrBin) * buffer->n, MCXT_ALLOC_HUGE);
	for (Size i = 0; i < buffer->n; i++)
	{
		if (out->nbins > 0 && out->bins[out->nbins - 1].bin == buffer->bin[i])
			out->bins[out->nbins - 1].count++;
		else
		{
			out->bins[out->nbins].bin = buffer->bin[i];
			out->bins[out->nbins++].count = 1;
		}
	}
}

/* Add a batch's bins to those that it has from units before. */
static void
merge_bins(BinList *to, const BinList *more)
{
	GrBin	   *out;

	if (to->nbins == 0 || more->nbins == 0)
	{
		if (to->nbins == 0)
			*to = *more;
		return;
	}
	out = palloc_extended(sizeof(GrBin) * ((Size) to->nbins + more->nbins), MCXT_ALLOC_HUGE);
	to->nbins = (int) gr_histogram_merge(to->bins, to->nbins, more->bins, more->nbins, out);
	pfree(to->bins);
	pfree(more->bins);
	to->bins = out;
}

/* The bins that have been counted, from "lowest" on. */
static void
bins_of_counts(const uint32 *count, int32 lowest, int32 range, BinList *out)
{
	int			distinct = 0;

	for (int32 k = 0; k < range; k++)
		distinct += count[k] != 0;
	if (distinct == 0)
		return;
	out->bins = palloc_extended(sizeof(GrBin) * distinct, MCXT_ALLOC_HUGE);
	for (int32 k = 0; k < range; k++)
	{
		if (count[k] == 0)
			continue;
		out->bins[out->nbins].bin = lowest + k;
		out->bins[out->nbins++].count = count[k];
	}
}

/* ... counted when they lie close. */
static void
bins_by_counting(const BinBuffer *buffer, int32 lowest, int32 range, BinList *out)
{
	uint32	   *count = palloc0(sizeof(uint32) * range);

	for (Size i = 0; i < buffer->n; i++)
		count[buffer->bin[i] - lowest]++;
	bins_of_counts(count, lowest, range, out);
	pfree(count);
}

/* The same, where a look at the bins that there are is less than one at the range. */
static void
bins_by_table(const BinBuffer *buffer, int32 lowest, int32 range, BinList *out)
{
	Size		most = Min(buffer->n, (Size) range);

	out->bins = palloc(sizeof(GrBin) * most);
	for (Size i = 0; i < buffer->n; i++)
	{
		int32		k = buffer->bin[i] - lowest;

		table_count[k]++;
		table_used[k / 64] |= UINT64CONST(1) << (k % 64);
	}
	for (int32 word = 0; word <= (range - 1) / 64; word++)
	{
		for (uint64 bits = table_used[word]; bits != 0; bits &= bits - 1)
		{
			int32		k = 64 * word + pg_rightmost_one_pos64(bits);

			out->bins[out->nbins++] = (GrBin) {lowest + k, table_count[k]};
			table_count[k] = 0;
		}
		table_used[word] = 0;
	}
	if ((Size) out->nbins < most / 2)
		out->bins = repalloc(out->bins, sizeof(GrBin) * out->nbins);
}

static void
bins_range(const int32 *bin, Size n, int32 *lowest, int32 *highest)
{
	int32		low = PG_INT32_MAX,
				high = PG_INT32_MIN;

	for (Size i = 0; i < n; i++)
	{
		low = Min(low, bin[i]);
		high = Max(high, bin[i]);
	}
	*lowest = low;
	*highest = high;
}

void
gr_buffer_empty(BinBuffer *buffer, BinList *to)
{
	BinList		out = {0};
	int32		lowest,
				highest;

	if (buffer->n == 0)
		return;
	bins_range(buffer->bin, buffer->n, &lowest, &highest);
	if (highest - (int64) lowest < TABLE_RANGE && buffer->n <= PG_UINT32_MAX)
		bins_by_table(buffer, lowest, highest - lowest + 1, &out);
	else if ((Size) (highest - lowest) < 4 * buffer->n + 4096 && buffer->n <= PG_UINT32_MAX)
		bins_by_counting(buffer, lowest, highest - lowest + 1, &out);
	else
		bins_by_sorting(buffer, &out);
	merge_bins(to, &out);
	buffer->n = 0;
}

void
gr_bins_encode(StringInfo buf, const BinList *list)
{
	int64		last = 0;

	gr_put_varint(buf, list->nbins);
	for (int i = 0; i < list->nbins; i++)
	{
		gr_put_signed(buf, list->bins[i].bin - last);
		gr_put_signed(buf, list->bins[i].count);
		last = list->bins[i].bin;
	}
}

bool
gr_bins_decode(BinRoom *to, const char **p, const char *end)
{
	uint64		n;
	int64		last = 0;

	to->n = 0;
	if (!gr_get_varint(p, end, &n) || n > (uint64) (end - *p) / 2)
		return false;
	if (n > (uint64) to->capacity)
	{
		if (to->bins)
			pfree(to->bins);
		to->capacity = (int) n + (int) n / 4;
		to->bins = palloc_extended(sizeof(GrBin) * to->capacity, MCXT_ALLOC_HUGE);
	}
	for (int i = 0; i < (int) n; i++)
	{
		int64		step;

		if (!gr_get_signed(p, end, &step) || (i > 0 && step <= 0) ||
			step > PG_INT32_MAX || step < PG_INT32_MIN ||
			last + step > GR_BIN_MAX || last + step < -GR_BIN_MAX ||
			!gr_get_signed(p, end, &to->bins[i].count))
			return false;
		last += step;
		to->bins[i].bin = (int32) last;
	}
	to->n = (int) n;
	return true;
}
