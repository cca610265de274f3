/*
 * looser.c
 *	  Does a version of a plan guard less than another, and in what?
 *
 * What cannot be said to be stricter is looser: another expression, another window,
 * another population.  A goal counts like a guardrail: who asks less of the primary
 * ships more.  Secondary metrics and guardrails that only warn keep nobody from SHIP.
 */
#include "evaluate/looser.h"

#include <math.h>

#include "decide/words.h"
#include "mb/pg_wchar.h"

/* How a column of guardrail_experiment guards. */
typedef enum Guarding
{
	AS_IT_IS,					/* another value is another test */
	THE_HIGHER,					/* a lower value, or none, guards less */
	THE_LOWER,
	FOR_VETOES					/* what is there, where a rule's veto reaches into segments */
} Guarding;

typedef struct GuardingColumn
{
	const char *name;
	Guarding	guarding;
} GuardingColumn;

static const GuardingColumn columns[GR_GUARDING_COLUMNS] = {
	{"events", AS_IT_IS}, {"exposures", AS_IT_IS}, {"exposed_at_column", AS_IT_IS},
	{"experiment_column", AS_IT_IS}, {"unit_column", AS_IT_IS}, {"variant_column", AS_IT_IS},
	{"time_column", AS_IT_IS}, {"control", AS_IT_IS}, {"shares", AS_IT_IS}, {"starts_at", AS_IT_IS},
	{"ends_at", THE_HIGHER}, {"monitoring", AS_IT_IS}, {"spending", AS_IT_IS}, {"spending_phi", AS_IT_IS},
	{"correction", AS_IT_IS}, {"planned_units", THE_HIGHER}, {"min_units", THE_HIGHER},
	{"srm_alpha", THE_HIGHER}, {"max_crossover", THE_LOWER}, {"segments", FOR_VETOES}
};

const char *
gr_guarding_column(int c)
{
	return columns[c].name;
}

static const char *
arrow(void)
{
	return GetDatabaseEncoding() == PG_UTF8 ? "\342\206\222" : "->";
}

static bool
is_number(const char *text, double *x)
{
	char	   *end;

	*x = text ? strtod(text, &end) : NAN;
	return text && *end == '\0' && end != text;
}

/* Does a column guard less than it did? */
static bool
column_is_looser(const GuardingColumn *c, const char *was, const char *is, bool as_it_was)
{
	double		x,
				y;
	int			order;

	if (gr_same_text(was, is))
		return false;
	if (c->guarding == AS_IT_IS)
		return as_it_was;
	/* without a bound there is nothing that guards */
	if (was == NULL || is == NULL)
		return is == NULL && strcmp(c->name, "ends_at") != 0;
	/* numbers, or times in ISO format of one zone */
	if (is_number(was, &x) && is_number(is, &y))
		order = y < x ? -1 : y > x;
	else
		order = strcmp(is, was);
	return c->guarding == THE_HIGHER ? order < 0 : order > 0;
}

/* The first column of a rule by which it measures something else, or NULL. */
static const char *
redefined(const Rule *was, const Rule *is)
{
	if (!gr_same_text(was->rule.kind->name, is->rule.kind->name))
		return "kind";
	if (was->rule.worse_is_higher != is->rule.worse_is_higher)
		return "worse";
	if (was->rule.quantile != is->rule.quantile)
		return "quantile";
	if (was->over_units != is->over_units)
		return "quantile_over";
	if (!gr_same_text(was->value, is->value))
		return "value";
	if (!gr_same_text(was->denominator, is->denominator))
		return "denominator";
	if (!gr_same_text(was->filter, is->filter))
		return "filter";
	if (!gr_same_text(was->unit_aggregate, is->unit_aggregate))
		return "unit_aggregate";
	if (!gr_same_text(was->covariate, is->covariate))
		return "covariate";
	if (was->cap_quantile != is->cap_quantile)
		return "cap_quantile";
	if (!(was->cap_value == is->cap_value || (isnan(was->cap_value) && isnan(is->cap_value))))
		return "cap_value";
	if (!(was->at_least == is->at_least || (isnan(was->at_least) && isnan(is->at_least))))
		return "at_least";
	if (!gr_same_text(was->window_length, is->window_length))
		return "window_length";
	if (was->retention_day != is->retention_day)
		return "retention_day";
	if (!gr_same_text(was->retention_time_zone, is->retention_time_zone))
		return "retention_time_zone";
	return NULL;
}

/* Is "is" the looser limit of two of the same kind? */
static bool
limit_is_looser(const GrRule *was, const GrRule *is)
{
	/* a goal is looser when less is asked; a margin of harm when more is allowed */
	bool		loose_is_higher = was->role == GR_GUARDRAIL;

	if (was->limit_kind == GR_LIMIT_ABSOLUTE)
		loose_is_higher = (was->role == GR_GUARDRAIL) == was->worse_is_higher;
	return loose_is_higher ? is->limit_value > was->limit_value : is->limit_value < was->limit_value;
}

/* Limits of harm without a margin are alike, and the strictest of their scale. */
static bool
has_no_margin(const GrRule *rule)
{
	return rule->limit_kind == GR_LIMIT_SIGNIFICANCE ||
		(rule->limit_kind != GR_LIMIT_ABSOLUTE && rule->limit_value == 0);
}

/* Add a clause about a rule. */
static void pg_attribute_printf(2, 3)
add(StringInfo out, const char *format,...)
{
	va_list		args;
	char		clause[400];

	va_start(args, format);
	vsnprintf(clause, sizeof(clause), format, args);
	va_end(args);
	appendStringInfo(out, "%s%.*s", out->len ? ", " : "", gr_fitting(clause, 380), clause);
}

static void
add_limit(StringInfo out, const GrRule *was, const GrRule *is)
{
	char		limits[2 * NUMBER_SIZE + UNIT_SIZE + 10];

	if (was->limit_kind == is->limit_kind && was->limit_kind != GR_LIMIT_SIGNIFICANCE)
	{
		if (limit_is_looser(was, is))
		{
			gr_format_limits(was, is, arrow(), limits, sizeof(limits));
			add(out, "limit of %.100s %s", is->metric, limits);
		}
	}
	else if (was->limit_kind != is->limit_kind && !(was->role == GR_GUARDRAIL && has_no_margin(is)))
		add(out, "limit_kind of %.100s %s %s %s", is->metric, gr_words_limit_kind[was->limit_kind], arrow(),
			gr_words_limit_kind[is->limit_kind]);
}

/* Alpha bounds false alarms and false proofs of safety. */
static bool
alpha_is_looser(const GrRule *was, const GrRule *is)
{
	if (was->role == GR_PRIMARY)
		return is->alpha > was->alpha;
	return is->evidence == GR_SAFE ? is->alpha != was->alpha : is->evidence == GR_BREACH && is->alpha < was->alpha;
}

/* What a rule guards less than it did; is NULL: it was removed.  NULL: nothing. */
static char *
rule_is_looser(const Rule *was, const Rule *is, bool as_it_was)
{
	/* by how much they keep an arm from SHIP */
	static const int strictness[] = {[GR_BREACH] = 0, [GR_POINT] = 1, [GR_SAFE] = 2};
	const GrRule *w = &was->rule;
	const GrRule *i = is ? &is->rule : NULL;
	const char *column;
	StringInfoData out;

	if (w->role == GR_SECONDARY || (w->role == GR_GUARDRAIL && w->severity == GR_WARN))
		return NULL;
	initStringInfo(&out);
	if (is == NULL)
	{
		add(&out, "%s %.100s removed", gr_words_role[w->role], w->metric);
		return out.data;
	}
	if (w->role != i->role)
	{
		add(&out, "role of %.100s %s %s %s", w->metric, gr_words_role[w->role], arrow(), gr_words_role[i->role]);
		return out.data;
	}
	column = as_it_was ? redefined(was, is) : NULL;
	if (column)
		add(&out, "%s of %.100s changed", column, w->metric);
	if (i->severity > w->severity)
		add(&out, "severity of %.100s %s %s %s", w->metric, gr_words_severity[w->severity], arrow(),
			gr_words_severity[i->severity]);
	if (strictness[i->evidence] < strictness[w->evidence])
		add(&out, "evidence of %.100s %s %s %s", w->metric, gr_words_evidence[w->evidence], arrow(),
			gr_words_evidence[i->evidence]);
	add_limit(&out, w, i);
	if (alpha_is_looser(w, i))
		add(&out, "alpha of %.100s %g %s %g", w->metric, w->alpha, arrow(), i->alpha);
	if (was->segment_veto && !is->segment_veto)
		add(&out, "segment_veto of %.100s dropped", w->metric);
	return out.len ? out.data : NULL;
}

const Rule *
gr_rule_named(const Experiment *e, const char *metric)
{
	for (int k = 0; k < e->nrules; k++)
		if (strcmp(e->rules[k].rule.metric, metric) == 0)
			return &e->rules[k];
	return NULL;
}

static bool
has_veto(const Experiment *e)
{
	for (int k = 0; k < e->nrules; k++)
		if (e->rules[k].segment_veto)
			return true;
	return false;
}

/* Is a segment gone that was there? */
static bool
lacks_segment(const Experiment *was, const Experiment *is)
{
	for (int i = 0; i < was->nsegments; i++)
	{
		bool		found = false;

		for (int k = 0; k < is->nsegments; k++)
			found |= strcmp(was->segments[i], is->segments[k]) == 0;
		if (!found)
			return true;
	}
	return false;
}

char *
gr_what_is_looser(const Version *was, const Version *is, const char *name, bool is_rule, bool as_it_was)
{
	if (is_rule)
	{
		const Rule *rule = gr_rule_named(was->e, name);

		return rule ? rule_is_looser(rule, gr_rule_named(is->e, name), as_it_was) : NULL;
	}
	if (strcmp(name, GR_DEFINITIONS) == 0)
		return !as_it_was || !gr_same_text(was->server_version, is->server_version) ||
			gr_same_text(was->definitions, is->definitions) ? NULL : pstrdup(GR_DEFINITIONS " changed");
	for (int c = 0; c < GR_GUARDING_COLUMNS; c++)
		if (strcmp(columns[c].name, name) == 0 &&
			(columns[c].guarding == FOR_VETOES ? has_veto(was->e) && lacks_segment(was->e, is->e) :
			 column_is_looser(&columns[c], was->value[c], is->value[c], as_it_was)))
			return psprintf("%s %.60s %s %.60s", name, was->value[c] ? was->value[c] : "NULL", arrow(),
							is->value[c] ? is->value[c] : "NULL");
	return NULL;
}
