/* What upkeep does to each table: `retain`, `compact` and `snapshots` of `lifecycle`, by layer,
 * then by table. The nearer wins key by key, also inside these maps: a table that gives `for` alone
 * is told by its layer by which column. `none` ends what a layer began. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"

#include <string.h>

#define TARGET_DEFAULT   (128u << 20)
#define SMALL_DEFAULT    20
#define AT_LEAST_DEFAULT 10
#define HOUR_MS          3600000LL
#define DAY_MS           86400000LL

/* One of the three maps as a layer says it and as the table does. */
struct nearer {
    const struct node *table, *layer; /* NULL: not given, or nothing of it counts */
    const char *table_name, *layer_name;
    bool none;
};

static struct nearer look(const struct node *lifecycle, const struct weir_table_config *table,
                          const char *what)
{
    struct nearer at = {.table_name = table->name, .layer_name = table->layer};
    at.table = node_get(node_get(lifecycle, table->name), what);
    at.layer = table->layer ? node_get(node_get(lifecycle, table->layer), what) : NULL;
    if (node_is(at.layer, "none")) {
        at.layer = NULL;
        at.none = at.table == NULL;
    }
    if (node_is(at.table, "none") || (at.table && at.table->broken))
        at = (struct nearer){.none = true};
    return at;
}

/* The map that has a key: the table's before the layer's; NULL = neither. */
static const struct node *map_with(const struct nearer *at, const char *key)
{
    return node_get_key(at->table, key)   ? at->table
           : node_get_key(at->layer, key) ? at->layer
                                          : NULL;
}

static const char *shown(struct reading *reading, const struct nearer *at, const struct node *map,
                         const char *what)
{
    const char *text = take_print(reading, "lifecycle.%s.%s",
                                  map == at->table ? at->table_name : at->layer_name, what);
    return text ? text : what;
}

/* The column by whose time rows grow old. Columns of a model are known to its SQL alone; they are
 * checked with it. */
static void check_by(struct reading *reading, const struct nearer *at, const struct node *map,
                     const struct weir_table_config *table)
{
    const struct node *by = node_get(map, "by");
    const struct weir_field *column;
    if (!by || by->kind != NODE_SCALAR || table->columns.child_count == 0)
        return;
    column = weir_type_child(&table->columns, by->text, by->size);
    if (!column)
        complain(reading, by, 0, NULL, "%s: %s has no column %s",
                 shown(reading, at, map, "retain.by"), table->name, node_quote(reading, by));
    else if (column->type.id != WEIR_TIMESTAMPTZ && column->type.id != WEIR_TIMESTAMP &&
             column->type.id != WEIR_DATE)
        complain(reading, by, 0, "a timestamptz, timestamp or date", "%s: %s of %s is no time",
                 shown(reading, at, map, "retain.by"), node_quote(reading, by), table->name);
}

static void bind_retain(struct reading *reading, const struct nearer *at,
                        const struct weir_table_config *table, struct weir_lifecycle_config *to)
{
    const struct node *age = map_with(at, "for"), *by = map_with(at, "by"),
                      *map = at->table ? at->table : at->layer;
    if (!map || map->kind != NODE_MAP)
        return;
    to->retain_location = node_location(reading, map);
    to->retain_ms = get_duration_ms(age, "for", 0);
    to->retain_by = get_text(by, "by");
    if (!age || !by)
        complain(reading, map, 0, "retain: {for: 30d, by: collected_at}, or none",
                 "%s: %s is missing for %s", shown(reading, at, map, "retain"), age ? "by" : "for",
                 table->name);
    check_by(reading, at, by, table);
    /* How far the horizon goes at once: a file that straddles it is written anew, and that is not
     * to happen in every run. */
    to->retain_step_ms = to->retain_ms >= 2 * DAY_MS    ? DAY_MS
                         : to->retain_ms >= 2 * HOUR_MS ? HOUR_MS
                                                        : 60000;
}

static void bind_compact(const struct nearer *at, struct weir_lifecycle_config *to)
{
    to->compacts = at->table || at->layer;
    to->small_files = get_whole(map_with(at, "small_files"), "small_files", SMALL_DEFAULT);
    to->compact_target = get_size(map_with(at, "target"), "target", TARGET_DEFAULT);
}

static void bind_snapshots(struct reading *reading, const struct nearer *at,
                           struct weir_lifecycle_config *to)
{
    const struct node *age = map_with(at, "retain"), *most = map_with(at, "at_most"),
                      *map = at->table ? at->table : at->layer;
    to->expires = map && map->kind == NODE_MAP;
    if (!to->expires)
        return;
    to->snapshots_location = node_location(reading, map);
    to->snapshots_ms = get_duration_ms(age, "retain", -1);
    to->tags_ms = get_duration_ms(map_with(at, "tags"), "tags", 0);
    to->at_least = get_whole(map_with(at, "at_least"), "at_least", AT_LEAST_DEFAULT);
    to->at_most = get_whole(most, "at_most", 0);
    if (!age && !most)
        complain(reading, map, 0, "snapshots: {retain: 7d, at_least: 10, at_most: 500}",
                 "%s: retain or at_most is missing", shown(reading, at, map, "snapshots"));
    if (to->at_most && to->at_most < to->at_least)
        complain(reading, node_get(most, "at_most"), 0, NULL,
                 "%s: at_most %lld is less than at_least %lld",
                 shown(reading, at, most, "snapshots"), (long long)to->at_most,
                 (long long)to->at_least);
}

static void bind_sweep(struct reading *reading, const struct nearer *at, int64_t deadline_ms,
                       struct weir_lifecycle_config *to)
{
    const struct node *map = map_with(at, "grace");
    to->sweeps = to->expires && !at->none;
    to->sweep_grace_ms = get_duration_ms(map, "grace", WEIR_SWEEP_GRACE_MS);
    if (to->sweep_grace_ms < 2 * deadline_ms)
        complain(reading, map ? node_get(map, "grace") : NULL, 0,
                 "a run that sleeps must have been given up by then",
                 "lifecycle.%s.sweep.grace: shorter than twice run.deadline",
                 map == at->table ? at->table_name : at->layer_name);
}

void lifecycle_bind(struct reading *reading, const struct node *lifecycle, int64_t deadline_ms,
                    struct weir_table_config *table)
{
    struct nearer retain = look(lifecycle, table, "retain"),
                  compact = look(lifecycle, table, "compact"),
                  snapshots = look(lifecycle, table, "snapshots"),
                  sweep = look(lifecycle, table, "sweep");
    bind_retain(reading, &retain, table, &table->lifecycle);
    bind_compact(&compact, &table->lifecycle);
    bind_snapshots(reading, &snapshots, &table->lifecycle);
    bind_sweep(reading, &sweep, deadline_ms, &table->lifecycle);
    int64_t layer_ms = get_duration_ms(table->layer ? node_get(lifecycle, table->layer) : NULL,
                                       "quarantine", -1);
    table->lifecycle.quarantine_ms = get_duration_ms(node_get(lifecycle, table->name), "quarantine",
                                                     layer_ms);
}

/* What of a policy's age is left for the rows themselves. */
static void quarantine_derive(const struct weir_pipeline *pipeline,
                              struct weir_lifecycle_config *rule)
{
    int64_t most = INT64_MAX;
    for (size_t i = 0; i < pipeline->policy_count; i++) {
        const struct weir_policy_config *policy = &pipeline->policies[i];
        for (size_t k = 0; policy->applies && k < policy->age_count; k++)
            if (strcmp(policy->ages[k].layer, "quarantine") == 0 && policy->ages[k].ms < most)
                most = policy->ages[k].ms;
    }
    if (rule->quarantine_ms >= 0 || most == INT64_MAX)
        return;
    most -= (rule->snapshots_ms > 0 ? rule->snapshots_ms : 0) + rule->tags_ms +
            pipeline->s3.versions_ms + rule->sweep_grace_ms + WEIR_QUARANTINE_STEP_MS;
    if (most > 0)
        rule->quarantine_ms = most;
}

void quarantine_bind(struct weir_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->table_count; i++)
        quarantine_derive(
            pipeline, (struct weir_lifecycle_config *)(uintptr_t)&pipeline->tables[i].lifecycle);
    for (size_t i = 0; i < pipeline->model_count; i++)
        quarantine_derive(
            pipeline,
            (struct weir_lifecycle_config *)(uintptr_t)&pipeline->models[i].table.lifecycle);
}
