/*
 * state.c
 *	  The bytes of a slice's units.
 *
 * Part, version 2, integers in network byte order:
 *	 version 1 byte · numbers per unit 2 · units 4 · hash of each 8, ascending ·
 *	 of each: events 4 · arm 1 (255: seen in several) · each number 8
 * and in the table a checksum after it (whole.c).
 * That is 13 bytes and 8 for each number that is kept of a unit.  The hashes are
 * together, so that a unit is found by them alone; the rest of it is together too.
 */
#include "slice/stored.h"

#include "miscadmin.h"

#define STATE_VERSION 2
#define PART_HEADER 7
#define ARM_BYTE_CROSSOVER 255

void
gr_slice_corrupt(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored slice is damaged"),
			 errdetail_internal("%s", why),
			 errhint("Run guardrail_rebuild() without limits to compute all slices again.")));
}

static inline void
put64(char **p, uint64 x)
{
	x = pg_hton64(x);
	memcpy(*p, &x, sizeof(x));
	*p += sizeof(x);
}

static inline void
put32(char **p, uint32 x)
{
	x = pg_hton32(x);
	memcpy(*p, &x, sizeof(x));
	*p += sizeof(x);
}

/* How many units go into a part of at most "size" bytes. */
uint32
gr_part_capacity(const CollectSpec *spec, Size size)
{
	Size		unit = 13 + sizeof(double) * spec->nslots;

	return Max(16, (size - PART_HEADER) / unit);
}

static Size
part_size(const CollectSpec *spec, Size n)
{
	return PART_HEADER + n * (13 + sizeof(double) * spec->nslots);
}

bytea *
gr_part_encode(const CollectSpec *spec, const char *entries, uint32 n)
{
	Size		size = GR_ENTRY_SIZE(spec->nslots);
	bytea	   *out = palloc(VARHDRSZ + part_size(spec, n));
	char	   *p = VARDATA(out);

	SET_VARSIZE(out, VARHDRSZ + part_size(spec, n));
	*p++ = STATE_VERSION;
	*p++ = (char) (spec->nslots >> 8);
	*p++ = (char) (spec->nslots & 0xff);
	put32(&p, n);
	for (uint32 i = 0; i < n; i++)
		put64(&p, gr_entry(entries, size, i)->hash);
	for (uint32 i = 0; i < n; i++)
	{
		const UnitEntry *e = gr_entry(entries, size, i);

		put32(&p, e->events);
		*p++ = (char) e->arm;
		for (int k = 0; k < spec->nslots; k++)
		{
			uint64		bits;

			memcpy(&bits, &e->slots[k], sizeof(bits));
			put64(&p, bits);
		}
	}
	return out;
}

void
gr_part_open(const CollectSpec *spec, const char *p, Size length, Part *part)
{
	if (length < PART_HEADER || p[0] != STATE_VERSION ||
		(((uint8) p[1] << 8) | (uint8) p[2]) != spec->nslots)
		gr_slice_corrupt("A part does not begin as one.");
	part->n = gr_get32(p + 3, 0);
	if (part->n > length || length != part_size(spec, part->n))
		gr_slice_corrupt("A part has another length than its units.");
	part->hash = p + PART_HEADER;
	part->rest = part->hash + 8 * (Size) part->n;
}

void
gr_part_entry(const CollectSpec *spec, const Part *part, uint32 i, int narms, UnitEntry *e)
{
	const char *p = part->rest + (5 + sizeof(double) * spec->nslots) * (Size) i;
	uint8		arm = (uint8) p[4];

	if (arm >= narms && arm != ARM_BYTE_CROSSOVER)
		gr_slice_corrupt("A unit has an arm that is not there.");
	e->hash = gr_get64(part->hash, i);
	e->events = gr_get32(p, 0);
	e->arm = arm == ARM_BYTE_CROSSOVER ? ARM_CROSSOVER : arm;
	for (int k = 0; k < spec->nslots; k++)
	{
		uint64		bits = gr_get64(p + 5, k);

		memcpy(&e->slots[k], &bits, sizeof(bits));
	}
}
