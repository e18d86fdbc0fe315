/* How long rows can be reached after their time, added up from the pipeline file, and held against
 * what policies allow (max_age). Also: what `retain` names in a model, whose columns are known to
 * its SQL alone.
 *
 * A row lives for retain.for and at most one step of the horizon; the snapshots that reach it go
 * snapshots.retain after it left the newest one; a tag that somebody set may hold them for
 * snapshots.tags; the sweeper's two passes are a grace apart; and a bucket with versions keeps what
 * was deleted for lake.s3.versions. Tables without a column of a class are nobody's concern. */
#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "scheduler/promote/graph_int.h"

#include <stdio.h>
#include <string.h>

struct ages {
    const struct weir_graph *graph;
    const struct weir_pipeline *pipeline;
    void (*report)(void *argument, const struct weir_error *error);
    void *argument;
    size_t problems;
};

static void tell(struct ages *ages, const struct weir_error *error)
{
    ages->report(ages->argument, error);
    ages->problems++;
}

/* "45d", "90m" */
static const char *print_span(char out[24], int64_t ms)
{
    static const struct {
        int64_t ms;
        char unit;
    } units[] = {{86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}};
    for (size_t i = 0; i < 3; i++)
        if (ms % units[i].ms == 0) {
            snprintf(out, 24, "%lld%c", (long long)(ms / units[i].ms), units[i].unit);
            return out;
        }
    snprintf(out, 24, "%llds", (long long)(ms / 1000));
    return out;
}

struct sum {
    char words[300];
    int64_t ms; /* -1: for ever */
};

static void add(struct sum *sum, const char *what, int64_t ms)
{
    char span[24];
    size_t used = strlen(sum->words);
    if (ms == 0)
        return;
    if (ms < 0)
        snprintf(sum->words + used, sizeof sum->words - used, "%s%s for ever", used ? " + " : "",
                 what);
    else
        snprintf(sum->words + used, sizeof sum->words - used, "%s%s %s", used ? " + " : "", what,
                 print_span(span, ms));
    sum->ms = ms < 0 || sum->ms < 0 ? -1 : sum->ms + ms;
}

/* What comes behind a row's leaving, for every table. */
static void add_rest(struct sum *sum, const struct weir_pipeline *pipeline,
                     const struct weir_lifecycle_config *rule)
{
    add(sum, "snapshots", rule->expires ? rule->snapshots_ms : -1);
    add(sum, "tags", rule->tags_ms);
    add(sum, "sweeper", rule->sweeps ? rule->sweep_grace_ms : -1);
    add(sum, "object versions", pipeline->s3.versions_ms);
}

static bool has_class(const struct weir_graph_table *table)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].class_ != WEIR_CLASS_NONE)
            return true;
    return false;
}

static void hold_against(struct ages *ages, const struct weir_graph_table *table,
                         const struct weir_policy_config *policy, const struct weir_policy_age *age,
                         const char *what, const char *location, const struct sum *sum)
{
    char most[24], total[24] = "ever";
    struct weir_error error = {0};
    if (sum->ms >= 0 && sum->ms <= age->ms)
        return;
    if (sum->ms >= 0)
        print_span(total, sum->ms);
    (void)!weir_fail(
        &error, WEIR_REFUSED,
        "%s: %s of %s can be reached for %s: %s; policy %s allows %s to be %s old (%s)", location,
        what, table->name, total, sum->words, policy->name, age->layer, print_span(most, age->ms),
        age->location);
    weir_error_hint(&error, "lifecycle.%s: shorter retain, snapshots or tags; docs/policies.md",
                    table->name);
    tell(ages, &error);
}

static void check_rows(struct ages *ages, const struct weir_graph_table *table,
                       const struct weir_policy_config *policy, const struct weir_policy_age *age)
{
    const struct weir_lifecycle_config *rule = &table->config->lifecycle;
    struct sum sum = {0};
    add(&sum, "retain", rule->retain_ms ? rule->retain_ms : -1);
    add(&sum, "step", rule->retain_ms ? rule->retain_step_ms : 0);
    add_rest(&sum, ages->pipeline, rule);
    hold_against(ages, table, policy, age, "rows",
                 rule->retain_location ? rule->retain_location : table->config->location, &sum);
}

/* Refused, set aside and late rows. */
static void check_aside(struct ages *ages, const struct weir_graph_table *table,
                        const struct weir_policy_config *policy, const struct weir_policy_age *age)
{
    const struct weir_lifecycle_config *rule = &table->config->lifecycle;
    struct sum sum = {0};
    add(&sum, "quarantine", rule->quarantine_ms);
    add(&sum, "step", rule->quarantine_ms > 0 ? WEIR_QUARANTINE_STEP_MS : 0);
    add_rest(&sum, ages->pipeline, rule);
    hold_against(ages, table, policy, age, "refused and late rows", table->config->location, &sum);
}

static void check_policy(struct ages *ages, const struct weir_graph_table *table,
                         const struct weir_policy_config *policy)
{
    for (size_t i = 0; i < policy->age_count; i++) {
        const struct weir_policy_age *age = &policy->ages[i];
        if (table->layer && strcmp(age->layer, table->layer) == 0)
            check_rows(ages, table, policy, age);
        /* late rows of models go at that age too; a model that sets nothing aside need not say how
         * long its snapshots stay */
        if (strcmp(age->layer, "quarantine") == 0 && (!table->model || table->model->aside_count))
            check_aside(ages, table, policy, age);
    }
}

static bool is_time(enum weir_type_id id)
{
    return id == WEIR_TIMESTAMPTZ || id == WEIR_TIMESTAMP || id == WEIR_DATE;
}

static void check_by(struct ages *ages, const struct weir_graph_table *table)
{
    const struct weir_lifecycle_config *rule = &table->config->lifecycle;
    const struct weir_graph_column *column;
    struct weir_error error = {0};
    if (!rule->retain_ms || !rule->retain_by || !table->model)
        return;
    column = weir_graph_column(table, rule->retain_by);
    if (column && is_time(column->type.id))
        return;
    (void)!weir_fail(&error, WEIR_USAGE, "%s: retain.by: %s %s", rule->retain_location, table->name,
                     column ? "has another type there than timestamptz, timestamp or date"
                            : "has no such column");
    weir_error_hint(&error, "by: a column of the query with the row's time; now: %s",
                    rule->retain_by);
    tell(ages, &error);
}

size_t weir_graph_check_ages(const struct weir_graph *graph, const struct weir_pipeline *pipeline,
                             void (*report)(void *argument, const struct weir_error *error),
                             void *argument)
{
    struct ages ages = {graph, pipeline, report, argument, 0};
    for (size_t i = 0; i < weir_graph_count(graph); i++) {
        const struct weir_graph_table *table = weir_graph_at(graph, i);
        bool is_view = table->model && table->model->mode == WEIR_MODEL_VIEW;
        if (is_view)
            continue;
        check_by(&ages, table);
        for (size_t p = 0; p < pipeline->policy_count && has_class(table); p++)
            if (pipeline->policies[p].applies)
                check_policy(&ages, table, &pipeline->policies[p]);
    }
    return ages.problems;
}
