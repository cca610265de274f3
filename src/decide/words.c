/*
 * words.c
 *	  The words and numbers that reasons are made of.
 *
 * Nothing is written beyond the size that is given, and no UTF-8 character is cut.
 */
#include "decide/words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *
gr_status_word(GrStatus status)
{
	switch (status)
	{
		case GR_NO_DATA:
			return "NO DATA";
		case GR_UNDECIDED:
			return "UNDECIDED";
		case GR_BREACHED:
			return "BREACHED";
		case GR_IS_SAFE:
			return "SAFE";
		case GR_WON:
			return "WON";
		case GR_LOST:
			return "LOST";
		case GR_UNMEASURED:
			return "UNMEASURED";
	}
	return "?";
}

const char *
gr_verdict_word(GrVerdict verdict)
{
	switch (verdict)
	{
		case GR_VERDICT_INVALID:
			return "INVALID";
		case GR_VERDICT_BLOCK:
			return "BLOCK";
		case GR_VERDICT_HOLD:
			return "HOLD";
		case GR_VERDICT_SHIP:
			return "SHIP";
	}
	return "?";
}

int
gr_fitting(const char *name, int size)
{
	int			n = (int) strlen(name);

	if (n <= size)
		return n;
	/* name[n] must begin a character */
	for (n = size; n > 0 && ((unsigned char) name[n] & 0xC0) == 0x80; n--)
		;
	return n;
}

void
gr_rule_title(const GrRule *rule, char *buf, size_t size)
{
	char		suffix[32] = "";

	if (rule->quantile > 0)
		snprintf(suffix, sizeof(suffix), "p%.6g", rule->quantile * 100);
	if (suffix[0] == '\0' || strstr(rule->metric, suffix) != NULL)
		snprintf(buf, size, "%.100s", rule->metric);
	else
		snprintf(buf, size, "%.100s %s", rule->metric, suffix);
}

/* digits significant digits, never an exponent where a person reads one badly */
void
gr_format_number(double x, int digits, bool sign, char *buf, size_t size)
{
	double		magnitude = fabs(x);
	int			decimals = digits - 1;

	if (isinf(x))
	{
		snprintf(buf, size, x > 0 ? "+infinity" : "-infinity");
		return;
	}
	if (magnitude >= 1e15 || (magnitude > 0 && magnitude < 1e-9))
	{
		snprintf(buf, size, sign ? "%+.*g" : "%.*g", digits, x);
		return;
	}
	if (magnitude > 0)
		decimals -= (int) floor(log10(magnitude));
	else
		decimals = 0;
	if (decimals < 0)
		decimals = 0;
	snprintf(buf, size, sign && magnitude > 0 ? "%+.*f" : "%.*f", decimals,
			 magnitude > 0 ? x : 0.0);
}

/* The factor and the unit that an effect of the rule is shown with. */
static const char *
effect_unit(const GrRule *rule, double *factor)
{
	*factor = 100;
	if (rule->limit_kind == GR_LIMIT_RELATIVE)
		return "%";
	if (rule->is_proportion)
		return rule->limit_kind == GR_LIMIT_ABSOLUTE ? "%" : "pp";
	*factor = 1;
	return rule->display_unit;
}

void
gr_format_effect(const GrRule *rule, double x, int digits, char *buf, size_t size)
{
	double		factor;
	const char *unit = effect_unit(rule, &factor);
	char		number[NUMBER_SIZE];

	gr_format_number(x * factor, digits, rule->limit_kind != GR_LIMIT_ABSOLUTE,
				  number, sizeof(number));
	if (unit && unit[0] && isfinite(x))
		snprintf(buf, size, "%s %.*s", number, gr_fitting(unit, UNIT_SIZE), unit);
	else
		snprintf(buf, size, "%s", number);
}

void
gr_format_limits(const GrRule *was, const GrRule *is, const char *arrow, char *buf, size_t size)
{
	double		factor;
	const char *unit = effect_unit(is, &factor);
	char		from[NUMBER_SIZE],
				to[NUMBER_SIZE];

	snprintf(from, sizeof(from), "%.6g", was->limit_value * factor);
	snprintf(to, sizeof(to), "%.6g", is->limit_value * factor);
	snprintf(buf, size, "%s %s %s%s%.*s", from, arrow, to, unit && unit[0] ? " " : "",
			 unit ? gr_fitting(unit, UNIT_SIZE) : 0, unit ? unit : "");
}

/* The limit as it was written: up to six digits, none of them idle. */
void
gr_format_limit(const GrRule *rule, char *buf, size_t size)
{
	double		factor;
	const char *unit = effect_unit(rule, &factor);
	double		x = gr_signed_limit(rule) * factor;
	bool		sign = rule->limit_kind != GR_LIMIT_ABSOLUTE && x != 0;

	snprintf(buf, size, sign ? "%+.6g%s%.*s" : "%.6g%s%.*s", x + 0.0,
			 unit && unit[0] ? " " : "", unit ? gr_fitting(unit, UNIT_SIZE) : 0,
			 unit ? unit : "");
}

/* A bound; more digits when it would look like the limit. */
void
gr_format_bound(const GrRule *rule, double x, char *buf, size_t size)
{
	char		limit[NUMBER_SIZE];

	gr_format_limit(rule, limit, sizeof(limit));
	for (int digits = 3; digits <= 9; digits++)
	{
		gr_format_effect(rule, x, digits, buf, size);
		if (strcmp(buf, limit) != 0)
			return;
	}
}

/* What was cut off may have ended within a UTF-8 character. */
static void
drop_partial_character(char *buf)
{
	size_t		n = strlen(buf);
	size_t		lead = n;

	while (lead > 0 && ((unsigned char) buf[lead - 1] & 0xC0) == 0x80)
		lead--;
	if (lead > 0 && (unsigned char) buf[lead - 1] >= 0xC0)
	{
		unsigned char c = (unsigned char) buf[lead - 1];
		size_t		length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;

		if (n - (lead - 1) < length)
			buf[lead - 1] = '\0';
	}
}

void
gr_append(char *buf, size_t size, const char *format,...)
{
	size_t		used = strlen(buf);
	va_list		args;

	if (used + 1 >= size)
		return;
	va_start(args, format);
	if (vsnprintf(buf + used, size - used, format, args) >= (int) (size - used))
		drop_partial_character(buf);
	va_end(args);
}

/* A whole number, thousands apart. */
void
gr_format_whole(double n, char *buf, size_t size)
{
	char		digits[32];
	size_t		len,
				used = 0;

	snprintf(digits, sizeof(digits), "%.0f", n);
	len = strlen(digits);
	for (size_t i = 0; i < len && used + 2 < size; i++)
	{
		if (i > 0 && (len - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
}

/* About how many: three digits. */
void
gr_format_count(double n, char *buf, size_t size)
{
	double		step = n >= 1000 ? pow(10, floor(log10(n)) - 2) : 1;

	gr_format_whole(ceil(n / step) * step, buf, size);
}
