/* When models are promoted: `promote` under the table, else under it in `lifecycle`, else under its
 * layer there. The nearest one holds whole: rows of a layer and age of a table do not add up. */
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>

/* A rule of `lifecycle` is read for each of its models, and once more by lifecycle_check: the same
 * complaint at the same place is one. */
static void read_rule(struct reading *reading, const struct node *node, const char *shown,
                      struct weir_promote_rule *ret_rule)
{
    const char *cron = get_text(node, "cron"), *words;
    bool other = node_get_key(node, "rows") || node_get_key(node, "age");
    struct weir_promote_rule rule = {
        .when = WEIR_WHEN_RULE,
        .rows = get_whole(node, "rows", 0),
        .age_ms = get_duration_ms(node, "age", -1),
        .cron_text = cron,
    };
    if (node_is(node, "manual"))
        rule.when = WEIR_WHEN_MANUAL;
    else if (node->kind != NODE_MAP)
        return;
    else if (cron)
        rule.when = WEIR_WHEN_CRON;
    else if (rule.age_ms == 0) /* at once */
        rule.when = WEIR_WHEN_ADVANCED;
    if (cron && !weir_cron_parse(cron, strlen(cron), &rule.cron, &words)) {
        complain(reading, node_get(node, "cron"), 0,
                 "minute hour day month weekday in UTC, as in \"0 6 * * *\"", "%s.promote.cron: %s",
                 shown, words);
        return;
    }
    if (cron && other)
        complain(reading, node_get_key(node, "cron"), 0, NULL,
                 "%s.promote: cron, or rows and age, not both", shown);
    if (node->kind == NODE_MAP && !cron && !other && !node_get_key(node, "cron"))
        complain(reading, node, 0, NULL, "%s.promote: expected rows, age or cron, or manual",
                 shown);
    *ret_rule = rule;
}

void when_bind(struct table_reading *at, struct weir_model_config *model,
               const struct node *lifecycle)
{
    const struct node *own = node_get(at->node, "promote"),
                      *of_table = node_get(node_get(lifecycle, model->table.name), "promote"),
                      *of_layer = model->table.layer
                                      ? node_get(node_get(lifecycle, model->table.layer), "promote")
                                      : NULL;
    const struct node *nearest = own ? own : of_table ? of_table : of_layer;
    model->promote = (struct weir_promote_rule){.age_ms = -1};
    if (own && model->mode == WEIR_MODEL_VIEW)
        complain(at->reading, node_get_key(at->node, "promote"), 0, NULL,
                 "%s.promote: a view has no table to promote", at->shown);
    if (own && model->files && (node_get_key(own, "rows") || node_get_key(own, "age")))
        complain(at->reading, node_get_key(at->node, "promote"), 0,
                 "cron, or manual; without it: as soon as the files change",
                 "%s.promote: files with mode: full are known by their list alone", at->shown);
    if (!nearest)
        return;
    const char *shown = own ? at->shown
                            : take_print(at->reading, "lifecycle.%s",
                                         of_table ? model->table.name : model->table.layer);
    if (shown)
        read_rule(at->reading, nearest, shown, &model->promote);
    if (model->files && model->promote.when == WEIR_WHEN_RULE)
        model->promote.when = WEIR_WHEN_ADVANCED;
}

void lifecycle_check(struct reading *reading, const struct weir_pipeline *pipeline,
                     const struct node *lifecycle)
{
    for (size_t i = 0; lifecycle && i < lifecycle->count; i++) {
        const struct node *key = lifecycle->entries[i].key, *value = lifecycle->entries[i].value,
                          *promote = node_get(value, "promote");
        const struct weir_model_config *model = NULL;
        struct weir_promote_rule rule;
        bool known = false;
        for (size_t k = 0; k < pipeline->table_count; k++)
            known |= strcmp(pipeline->tables[k].name, key->text) == 0 ||
                     (pipeline->tables[k].layer &&
                      strcmp(pipeline->tables[k].layer, key->text) == 0);
        for (size_t k = 0; k < pipeline->model_count; k++) {
            const struct weir_table_config *table = &pipeline->models[k].table;
            if (strcmp(table->name, key->text) == 0)
                model = &pipeline->models[k];
            known |= model || (table->layer && strcmp(table->layer, key->text) == 0);
        }
        if (!known)
            complain(reading, key, 0, NULL, "lifecycle: %s is neither a layer nor a table here",
                     node_quote(reading, key));
        else if (promote && strchr(key->text, '.') && !model)
            complain(reading, promote, 0, NULL,
                     "lifecycle.%s.promote: only models (sql: ...) have it", key->text);
        const char *shown = take_print(reading, "lifecycle.%s", key->text);
        if (promote && shown)
            read_rule(reading, promote, shown, &rule);
    }
}
