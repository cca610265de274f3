/*
 * validate_time.c
 *	  Time zones of retention, and windows over events that have only a date.
 *
 * PostgreSQL reads what is no name of a zone as POSIX does: UTC+8 and +08 are eight
 * hours west of Greenwich there, when whoever writes them means eight hours east.
 * So a zone has a name of pg_timezone_names.  Rows that are restored, and those of
 * rules whose zone does not change, keep what they have.
 *
 * Where events have a date and exposures a time, days are compared (query/from.c): how
 * many hours after its exposure a unit did something is not known.
 */
#include "catalog/validate.h"

#include <ctype.h>

#include "executor/spi.h"
#include "pgtime.h"
#include "catalog/expression.h"
#include "utils/timestamp.h"

/*
 * Minutes east of Greenwich that are meant by UTC+8, GMT-5, +08, -05:30, +0530 or
 * <+08>-8; false: it is none of these.
 */
static bool
parse_offset(const char *zone, int *minutes)
{
	static const char *const prefixes[] = {"UTC", "GMT", "UT", "Z"};
	const char *p = zone;
	int			sign,
				n,
				hours;

	if (*p == '<')
		p++;
	for (int i = 0; i < (int) lengthof(prefixes); i++)
		if (pg_strncasecmp(p, prefixes[i], strlen(prefixes[i])) == 0)
		{
			p += strlen(prefixes[i]);
			break;
		}
	p += strspn(p, " ");
	if (*p != '+' && *p != '-')
		return false;
	sign = *p++ == '-' ? -1 : 1;
	n = (int) strspn(p, "0123456789");
	if (n < 1 || n > 4)
		return false;
	hours = atoi(pnstrdup(p, n > 2 ? n - 2 : n));
	*minutes = n > 2 ? atoi(pnstrdup(p + n - 2, 2)) : 0;
	p += n;
	if (n <= 2 && p[0] == ':' && isdigit((unsigned char) p[1]) && isdigit((unsigned char) p[2]))
	{
		*minutes = atoi(pnstrdup(p + 1, 2));
		p += 3;
	}
	if (hours > 14 || *minutes > 59 || (zone[0] == '<' ? *p != '>' : *p != '\0'))
		return false;
	*minutes = sign * (60 * hours + *minutes);
	return true;
}

/* A place whose clocks, in winter, are so many minutes ahead of Greenwich; NULL: none. */
static char *
place_at(int minutes)
{
	const char *args[] = {psprintf("%d", minutes)};

	/* of many the one that most people know */
	gr_spi_query("SELECT name FROM (SELECT name,"
				 " (timestamptz '2026-01-15 00:00+00' AT TIME ZONE name) - timestamp '2026-01-15 00:00' AS january,"
				 " (timestamptz '2026-07-15 00:00+00' AT TIME ZONE name) - timestamp '2026-07-15 00:00' AS july"
				 " FROM pg_catalog.pg_timezone_names WHERE name ~ '^(Africa|America|Asia|Atlantic|Australia|Europe|Indian|Pacific)/') AS z"
				 " WHERE extract(epoch FROM LEAST(january, july)) = 60 * $1::integer"
				 " ORDER BY pg_catalog.array_position('{Asia/Shanghai,Asia/Kolkata,Asia/Tokyo,Asia/Bangkok,Asia/Dhaka,Asia/Karachi,"
				 "Asia/Dubai,Asia/Kathmandu,Asia/Kabul,Asia/Tehran,Asia/Yangon,Europe/Moscow,Africa/Johannesburg,Africa/Lagos,"
				 "America/Sao_Paulo,America/St_Johns,America/Halifax,America/New_York,America/Chicago,America/Denver,"
				 "America/Los_Angeles,America/Anchorage,Pacific/Honolulu,Pacific/Auckland,Australia/Sydney,Australia/Adelaide}'::text[], name),"
				 " january <> july, name COLLATE \"C\" LIMIT 1", true, 1, args);
	return SPI_processed > 0 ? gr_spi_text(0, 1) : NULL;
}

/* What to write for an offset. */
static char *
zones_at(int minutes)
{
	char	   *place = minutes == 0 ? NULL : place_at(minutes);
	char	   *fixed = NULL;

	if (minutes == 0)
		fixed = pstrdup("UTC");
	else if (minutes % 60 == 0 && minutes >= -12 * 60)
		fixed = psprintf("Etc/GMT%+d", -minutes / 60);
	if (place && fixed)
		return psprintf("'%s' or '%s'", place, fixed);
	return place || fixed ? psprintf("'%s'", place ? place : fixed) : NULL;
}

/* Is it a zone at all, to PostgreSQL? */
static bool
is_known(const char *zone)
{
	pg_tz	   *known = strlen(zone) <= TZ_STRLEN_MAX ? pg_tzset(zone) : NULL;

	return known && pg_tz_acceptable(known);
}

static bool
is_named(const char *zone)
{
	const char *args[] = {zone};

	gr_spi_query("SELECT 1 FROM pg_catalog.pg_timezone_names WHERE pg_catalog.lower(name) = pg_catalog.lower($1) LIMIT 1",
				 true, 1, args);
	return SPI_processed > 0;
}

void
gr_check_time_zone(const Row *row)
{
	static const char *const columns[] = {"retention_time_zone", NULL};
	char	   *zone = gr_row_text(row, "retention_time_zone");
	char	   *zones = NULL;
	StringInfoData hint;
	int			minutes = 0;

	if (zone == NULL)
		return;
	if (gr_in_restore(row->relation) || !gr_row_changed(row, columns) ? is_known(zone) : is_named(zone))
		return;
	initStringInfo(&hint);
	if (parse_offset(zone, &minutes))
	{
		zones = zones_at(minutes);
		if (minutes != 0 && zone[0] != '<')
			appendStringInfo(&hint, "PostgreSQL reads \"%s\" with the opposite sign, as POSIX does. ", zone);
	}
	if (zones && minutes != 0)
		appendStringInfo(&hint, "For %d:%02d hours %s of Greenwich write %s.", abs(minutes) / 60, abs(minutes) % 60,
						 minutes < 0 ? "west" : "east", zones);
	else if (zones)
		appendStringInfo(&hint, "Write %s.", zones);
	else
		appendStringInfoString(&hint, "Set it to the name of a time zone, such as Europe/Berlin, or leave it NULL "
							   "to count days of 24 hours from the exposure.");
	gr_refuse(row, "retention_time_zone", hint.data);
}

/* ---- events that have only a date ------------------------------------------ */

#define ONLY_A_DATE "the events have only a date and the exposures a time, so guardrail compares days"

void
gr_check_days(const Row *row, Oid events, const char *time_column, Oid exposures,
			  const char *exposed_at_column)
{
	static const char *const columns[] = {"kind", "window_length", "retention_day", "retention_time_zone", NULL};
	bool		null;
	Datum		window = gr_row_datum(row, "window_length", &null);

	if (!gr_row_changed(row, columns) || !gr_compares_days(events, time_column, exposures, exposed_at_column))
		return;
	if (!null && DatumGetIntervalP(window)->time % USECS_PER_DAY != 0)
		gr_refuse(row, "window_length", "Set it to whole days, such as 2 days: " ONLY_A_DATE ".");
	if (gr_row_text(row, "retention_day") && gr_row_text(row, "retention_time_zone") == NULL)
		gr_refuse(row, "retention_time_zone", "Set it to the time zone of the dates, such as UTC or Europe/Berlin: "
				  ONLY_A_DATE ".");
}

void
gr_check_days_of_rules(const Row *row, const char *schema, Oid events, Oid exposures)
{
	static const char *const columns[] = {"events", "time_column", "exposures", "exposed_at_column", NULL};
	const char *args[] = {gr_row_text(row, "experiment_id")};

	if (!row->update || !gr_row_changed(row, columns) ||
		!gr_compares_days(events, gr_row_text(row, "time_column"), exposures, gr_row_text(row, "exposed_at_column")))
		return;
	gr_spi_query(psprintf("SELECT metric, retention_day IS NOT NULL FROM %s.guardrail_rule WHERE experiment_id = $1"
						  " AND CASE WHEN retention_day IS NOT NULL THEN retention_time_zone IS NULL"
						  " ELSE (extract(hour FROM window_length) * 3600 + extract(minute FROM window_length) * 60"
						  " + extract(second FROM window_length)) %% 86400 <> 0 END"
						  " ORDER BY metric COLLATE \"C\" LIMIT 1", schema), true, 1, args);
	if (SPI_processed > 0)
		gr_refuse(row, "time_column",
				  psprintf("Give rule \"%s\" %s first: " ONLY_A_DATE ".", gr_spi_text(0, 1),
						   gr_spi_bool(0, 2) ? "a retention_time_zone" : "a window_length of whole days"));
}
