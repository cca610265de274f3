/*
 * whole.c
 *	  Is what is there what was stored?
 *
 * Rows of guardrail_watermark and guardrail_slice can be missing, doubled or changed:
 * a restore that failed in part, a DELETE, a dump that was edited.  Numbers from such
 * rows would be wrong without a sign of it, so they are not believed:
 * - The watermark states how many slices there are and how many units are in them,
 *	 and has a checksum of its own columns and of the numbers and ranges of the slices.
 *	 Reading it takes nothing that is not read anyway.
 * - Each slice has a seal, a random number that it gets when it is written and that the
 *	 watermark lists.  The bytes of each of its rows end with a checksum of them, of the
 *	 seal and of the row's place, which is looked at whenever the row is read.  So
 *	 no row of another slice, or of the same slice at another time, fits.
 */
#include "slice/stored.h"

#include "common/pg_prng.h"

#define CHECKSUM_SIZE sizeof(uint32)

int64
gr_new_seal(void)
{
	return (int64) pg_prng_uint64(&pg_global_prng_state);
}

int64
gr_whole_units(const Stored *s)
{
	int64		units = 0;

	/* a sum of what anybody may have written: it may wrap around */
	for (int k = 0; k < s->nruns; k++)
		units = (int64) ((uint64) units + (uint64) s->runs[k].units);
	return units;
}

int64
gr_whole_checksum(const Stored *s, const bytea *totals)
{
	GrChecksum	c;

	gr_checksum_start(&c);
	gr_checksum_int(&c, s->stored_fingerprint);
	gr_checksum_text(&c, s->position);
	gr_checksum_int(&c, s->narms);
	for (int i = 0; i < s->narms; i++)
		gr_checksum_text(&c, s->arm[i]);
	gr_checksum_bytea(&c, totals);
	gr_checksum_int(&c, s->nruns);
	for (int k = 0; k < s->nruns; k++)
	{
		const Run  *run = &s->runs[k];

		gr_checksum_int(&c, run->slice);
		gr_checksum_int(&c, run->seal);
		gr_checksum_int(&c, run->nparts);
		gr_checksum_int(&c, run->units);
		gr_checksum_text(&c, run->from);
		gr_checksum_text(&c, run->to);
	}
	return gr_checksum_end(&c);
}

const char *
gr_whole_misfit(Stored *s, const Statement *said, const bytea *totals)
{
	if (s->misfit)
		return s->misfit;
	if (!s->known)
		return s->nruns > 0 ? "There are slices, but no watermark." : NULL;
	/* a watermark of an earlier version is of an earlier fingerprint, too */
	if (!said->made)
		return s->stored_fingerprint == s->fingerprint ? "The watermark states no checksum." : NULL;
	if (said->nslices < 0)
		return "The columns of the watermark cannot be read.";
	if (said->nslices != s->nruns)
		return psprintf("There are %d slices, and the watermark states %d.", s->nruns, said->nslices);
	if (said->units != gr_whole_units(s))
		return psprintf("The slices have " INT64_FORMAT " units, and the watermark states " INT64_FORMAT ".",
						gr_whole_units(s), said->units);
	for (int k = 0; k < s->nruns; k++)
		s->runs[k].seal = said->seals[k];
	if (said->checksum != gr_whole_checksum(s, totals))
		return "The watermark, or the range of a slice, is not what was stored.";
	return NULL;
}

static uint32
row_checksum(int64 slice, int64 seal, int part, const char *bytes, Size n)
{
	GrChecksum	c;

	gr_checksum_start(&c);
	gr_checksum_int(&c, seal);
	gr_checksum_int(&c, slice);
	gr_checksum_int(&c, part);
	gr_checksum_bytes(&c, bytes, n);
	return (uint32) gr_checksum_end(&c);
}

bytea *
gr_seal(const Run *run, int part, const bytea *bytes)
{
	Size		n = VARSIZE_ANY_EXHDR(bytes);
	bytea	   *out = palloc_extended(VARHDRSZ + n + CHECKSUM_SIZE, MCXT_ALLOC_HUGE);
	uint32		checksum = pg_hton32(row_checksum(run->slice, run->seal, part, VARDATA_ANY(bytes), n));

	SET_VARSIZE(out, VARHDRSZ + n + CHECKSUM_SIZE);
	memcpy(VARDATA(out), VARDATA_ANY(bytes), n);
	memcpy(VARDATA(out) + n, &checksum, CHECKSUM_SIZE);
	return out;
}

Size
gr_unsealed(int64 slice, int64 seal, int part, const bytea *bytes)
{
	Size		n = VARSIZE_ANY_EXHDR(bytes);
	const char *p = VARDATA_ANY(bytes);

	if (n < CHECKSUM_SIZE ||
		gr_get32(p + n - CHECKSUM_SIZE, 0) != row_checksum(slice, seal, part, p, n - CHECKSUM_SIZE))
		gr_slice_corrupt(psprintf("Part %d of slice " INT64_FORMAT " is not what was stored.", part, slice));
	return n - CHECKSUM_SIZE;
}
