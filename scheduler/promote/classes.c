/* Classes of columns: declared, inherited by lineage, lifted by masks; and what policies say of
 * them. */
#include "scheduler/promote/graph_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const class_names[] = {"none", "pseudonymous", "personal"};

const char *weir_class_name(enum weir_class class_)
{
    return class_names[class_];
}

static enum weir_class class_named(const char *name)
{
    for (int i = WEIR_CLASS_PERSONAL; name && i > 0; i--)
        if (strcmp(name, class_names[i]) == 0)
            return (enum weir_class)i;
    return WEIR_CLASS_NONE;
}

/* Every policy of the lake that names masks must name it; without such a one all are good. */
unsigned classes_masks(const struct weir_pipeline *pipeline)
{
    unsigned masks = (1U << WEIR_LINEAGE_MASKS) - 1;
    for (size_t i = 0; i < pipeline->policy_count; i++) {
        const struct weir_policy_config *policy = &pipeline->policies[i];
        unsigned named = 0;
        if (!policy->applies || !policy->has_unmask)
            continue;
        for (size_t k = 0; k < policy->unmask_count; k++)
            named |= weir_lineage_mask(policy->unmask_with[k]);
        masks &= named;
    }
    return masks;
}

enum weir_class class_of_use(const struct weir_graph *graph, const struct weir_graph_use *use)
{
    enum weir_class class_ = use->table->columns[use->column].class_;
    unsigned masks = use->masks & graph->masks;
    if (!weir_lineage_is_value(use->kind) || (masks & weir_lineage_mask("mask_email")))
        return WEIR_CLASS_NONE;
    if ((masks & weir_lineage_mask("hmac_sha256")) && class_ > WEIR_CLASS_PSEUDONYMOUS)
        return WEIR_CLASS_PSEUDONYMOUS;
    return class_;
}

/* Whom a value names: what the columns of its class agree on. */
static void inherit(const struct weir_graph *graph, struct weir_graph_column *column)
{
    bool agreed = true;
    for (uint32_t i = 0; i < column->use_count; i++) {
        const struct weir_graph_use *use = &column->uses[i];
        enum weir_class class_ = class_of_use(graph, use);
        const char *subject = use->table->columns[use->column].subject;
        if (class_ > column->class_) {
            column->class_ = class_;
            column->cause = i;
            column->subject = subject;
            agreed = true;
        } else if (class_ != WEIR_CLASS_NONE && class_ == column->class_ && subject &&
                   column->subject && strcmp(subject, column->subject) != 0) {
            agreed = false;
        } else if (class_ != WEIR_CLASS_NONE && class_ == column->class_ && !column->subject) {
            column->subject = subject;
        }
    }
    if (!agreed)
        column->subject = NULL;
}

static weir_status too_low(const struct weir_graph *graph, const struct weir_graph_table *table,
                           const struct weir_graph_column *column,
                           const struct weir_column_config *config, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) path = {.account = &graph->context->memory};
    WEIR_TRY(weir_graph_path(table, (uint32_t)(column - table->columns), &path, reterr));
    weir_status status = weir_fail(
        reterr, WEIR_REFUSED, "%s: column %s of %s is declared as %s, and holds %s values: %.*s",
        config->class_location, column->name, table->name, config->class_name,
        weir_class_name(column->class_), (int)(path.size < 300 ? path.size : 300), path.data);
    weir_error_hint(reterr,
                    "mask it by hmac_sha256 or mask_email, as far as the policies allow "
                    "them, leave it out, or declare class: %s",
                    weir_class_name(column->class_));
    return status;
}

weir_status class_column(const struct weir_graph *graph, const struct weir_graph_table *table,
                         struct weir_graph_column *column, struct weir_error *reterr)
{
    const struct weir_column_config *config = NULL;
    for (size_t i = 0; i < table->config->column_config_count; i++)
        if (strcasecmp(table->config->column_configs[i].path, column->name) == 0)
            config = &table->config->column_configs[i];
    inherit(graph, column);
    if (config && config->class_given && class_named(config->class_name) < column->class_)
        return too_low(graph, table, column, config, reterr);
    if (config && class_named(config->class_name) > column->class_) {
        column->class_ = class_named(config->class_name);
        column->cause = UINT32_MAX;
    }
    if (config && config->subject)
        column->subject = config->subject;
    column->bounds = config && config->bounds_given ? config->bounds
                                                    : column->class_ != WEIR_CLASS_PERSONAL;
    return WEIR_OK;
}

json_t *weir_graph_properties(const struct weir_graph_table *table, const json_t *properties)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct weir_graph_column *column = &table->columns[i];
        char key[600];
        snprintf(key, sizeof key, "weir.class.%s", column->name);
        const char *was = json_string_value(json_object_get(properties, key));
        if (column->class_ != WEIR_CLASS_NONE || (was && strcmp(was, "none") != 0))
            json_object_set_new(object, key, json_string(weir_class_name(column->class_)));
    }
    return object;
}

/* ---- sinks ---- */

static bool is_named(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static const struct weir_policy_config *forbids(const struct weir_pipeline *pipeline,
                                                const struct weir_sink_config *sink)
{
    for (size_t i = 0; i < pipeline->policy_count; i++) {
        const struct weir_policy_config *policy = &pipeline->policies[i];
        if (policy->applies && policy->has_sinks &&
            !is_named(sink->name, policy->sinks, policy->sink_count))
            return policy;
    }
    return NULL;
}

/* A record's key and id are sent as well as its row. */
static bool receives(const struct weir_sink_config *sink, const char *column)
{
    return !sink->columns || is_named(column, sink->columns, sink->column_count) ||
           is_named(column, sink->keys, sink->key_count);
}

static weir_status check_sink(const struct weir_graph *graph, const struct weir_sink_config *sink,
                              const struct weir_policy_config *policy,
                              const struct weir_graph_table *table, uint32_t column,
                              struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) path = {.account = &graph->context->memory};
    WEIR_TRY(weir_graph_path(table, column, &path, reterr));
    weir_status status = weir_fail(
        reterr, WEIR_REFUSED,
        "%s: sinks.%s would receive %s of %s, which is personal, and policy %s allows that to %s: "
        "%.*s",
        sink->location, sink->name, table->columns[column].name, table->name, policy->name,
        policy->sink_count ? "other sinks only" : "no sink",
        (int)(path.size < 300 ? path.size : 300), path.data);
    weir_error_hint(reterr,
                    "leave it out (sinks.%s.columns), mask it in the SQL, or name the sink "
                    "in policies.%s.personal.sinks",
                    sink->name, policy->name);
    return status;
}

/* Columns of one sink, each told. */
static size_t check_columns(const struct weir_graph *graph, const struct weir_pipeline *pipeline,
                            const struct weir_sink_config *sink,
                            void (*report)(void *argument, const struct weir_error *error),
                            void *argument)
{
    const struct weir_policy_config *policy = forbids(pipeline, sink);
    const struct weir_graph_table *table = sink->from ? weir_graph_find(graph, sink->from->name)
                                                      : NULL;
    size_t problems = 0;
    for (uint32_t c = 0; policy && table && c < table->column_count; c++) {
        struct weir_error error = {0};
        if (table->columns[c].class_ != WEIR_CLASS_PERSONAL ||
            !receives(sink, table->columns[c].name))
            continue;
        if (check_sink(graph, sink, policy, table, c, &error) != WEIR_OK)
            report(argument, &error);
        problems++;
    }
    return problems;
}

size_t weir_graph_check_sinks(const struct weir_graph *graph, const struct weir_pipeline *pipeline,
                              void (*report)(void *argument, const struct weir_error *error),
                              void *argument)
{
    size_t problems = 0;
    for (size_t i = 0; i < pipeline->sink_count; i++)
        problems += check_columns(graph, pipeline, &pipeline->sinks[i], report, argument);
    return problems;
}

static void keep_first(void *argument, const struct weir_error *error)
{
    struct weir_error *first = argument;
    if (first && !*first->text)
        *first = *error;
}

weir_status weir_sink_allowed(struct weir_context *context, const struct weir_pipeline *pipeline,
                              const struct weir_sink_config *sink, struct weir_error *reterr)
{
    const struct weir_model_config *model = model_find(pipeline, sink->from->name);
    struct weir_error first = {0};
    struct weir_graph *graph;
    if (!forbids(pipeline, sink))
        return WEIR_OK;
    weir_status status = model ? weir_graph_new(context, pipeline, model, &graph, reterr)
                               : graph_begin(context, pipeline, &graph, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "sink %s: what it would receive cannot be told", sink->name);
        return status;
    }
    size_t problems = check_columns(graph, pipeline, sink, keep_first, &first);
    weir_graph_free(graph);
    if (problems && reterr)
        *reterr = first;
    return problems ? WEIR_REFUSED : WEIR_OK;
}
