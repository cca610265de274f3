/*
 * checksum.c
 *	  CRC-32C over numbers, texts and bytes.
 */
#include "base/guardrail.h"

#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"

void
gr_checksum_start(GrChecksum *c)
{
	INIT_CRC32C(c->crc);
}

void
gr_checksum_int(GrChecksum *c, int64 x)
{
	uint64		bytes = pg_hton64((uint64) x);

	COMP_CRC32C(c->crc, &bytes, sizeof(bytes));
}

void
gr_checksum_bytes(GrChecksum *c, const void *p, Size n)
{
	gr_checksum_int(c, (int64) n);
	COMP_CRC32C(c->crc, p, n);
}

void
gr_checksum_bytea(GrChecksum *c, const bytea *bytes)
{
	if (bytes)
		gr_checksum_bytes(c, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	else
		gr_checksum_int(c, -1);
}

void
gr_checksum_text(GrChecksum *c, const char *text)
{
	char	   *utf8;

	if (text == NULL)
	{
		gr_checksum_int(c, -1);
		return;
	}
	/* a dump may be restored into a database of another encoding */
	utf8 = GetDatabaseEncoding() == PG_SQL_ASCII ? (char *) text : pg_server_to_any(text, (int) strlen(text), PG_UTF8);
	gr_checksum_bytes(c, utf8, strlen(utf8));
	if (utf8 != text)
		pfree(utf8);
}

int64
gr_checksum_end(const GrChecksum *c)
{
	pg_crc32c	crc = c->crc;

	FIN_CRC32C(crc);
	return (int64) crc;
}
