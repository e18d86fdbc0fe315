/* The graph of a pipeline: its tables with their columns, where each column comes from, and its
 * class. Made offline from the pipeline file and the SQL of models.
 *
 * A column of a model has the highest class of the columns that its values are made of, lowered
 * where all of a value went through a masking function that the lake's policies name
 * (personal.unmask_with; without such a policy both):
 *   hmac_sha256  at most pseudonymous: equal values stay equal, and who holds the key can find them
 *   mask_email   none: many addresses become one text
 * `columns:` of a model may raise a class, never lower it. What only filters, groups, orders or is
 * counted (engine/sql/lineage.h) hands no class on. */
#ifndef WEIR_SCHEDULER_PROMOTE_GRAPH_H
#define WEIR_SCHEDULER_PROMOTE_GRAPH_H

#include "engine/sql/lineage.h"
#include "scheduler/pipeline/pipeline.h"

#include <jansson.h>

enum weir_class { WEIR_CLASS_NONE, WEIR_CLASS_PSEUDONYMOUS, WEIR_CLASS_PERSONAL };
const char *weir_class_name(enum weir_class class_); /* as the pipeline file has it */

struct weir_graph_table;
struct weir_graph_use {
    const struct weir_graph_table *table;
    uint32_t column; /* of the table */
    enum weir_lineage_kind kind;
    unsigned masks;
};
struct weir_graph_column {
    const char *name;
    struct weir_type type;
    const char *doc; /* NULL */
    enum weir_class class_;
    const char *subject; /* NULL */
    bool bounds;         /* least and greatest values in manifests */
    const struct weir_graph_use *uses;
    uint32_t use_count;
    uint32_t cause; /* number of the use that the class comes from; UINT32_MAX: its own */
};
struct weir_graph_table {
    const char *name, *layer;
    const struct weir_table_config *config;
    const struct weir_model_config *model; /* NULL: filled from config->source */
    const char *const *reads;              /* tables and views, as the SQL names them */
    size_t read_count;
    struct weir_graph_column *columns;
    uint32_t column_count;
    const struct weir_graph_use *rows; /* what decides which rows there are */
    uint32_t row_count;
};

struct weir_graph;
/* only: this model and those it reads, NULL: all. USAGE: a model's SQL does not bind. REFUSED: a
 * column is declared with too low a class. */
weir_status weir_graph_new(struct weir_context *context, const struct weir_pipeline *pipeline,
                           const struct weir_model_config *only, struct weir_graph **ret_graph,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Adds a model, and those it reads, to one that was made of `only` some; as weir_graph_new. */
weir_status weir_graph_extend(struct weir_graph *graph, const struct weir_model_config *model,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_graph_free(struct weir_graph *graph); /* NULL-safe */
/* Tables in an order in which each comes behind those it reads. */
size_t weir_graph_count(const struct weir_graph *graph);
const struct weir_graph_table *weir_graph_at(const struct weir_graph *graph, size_t index);
const struct weir_graph_table *weir_graph_find(const struct weir_graph *graph, const char *name);
/* NULL: it has no such column. */
const struct weir_graph_column *weir_graph_column(const struct weir_graph_table *table,
                                                  const char *name);

/* How a column came to its class: "gold.x.mail <- silver.y.email <- bronze.z.email"; appended. */
weir_status weir_graph_path(const struct weir_graph_table *table, uint32_t column,
                            struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Policies that the sinks break, each given to report; how many. */
size_t weir_graph_check_sinks(const struct weir_graph *graph, const struct weir_pipeline *pipeline,
                              void (*report)(void *argument, const struct weir_error *error),
                              void *argument);
/* How long rows with a class can be reached, where policies give max_age; and `by` of models'
 * retention. */
size_t weir_graph_check_ages(const struct weir_graph *graph, const struct weir_pipeline *pipeline,
                             void (*report)(void *argument, const struct weir_error *error),
                             void *argument);
/* Policies that one sink breaks, before it is sent anything: REFUSED. */
weir_status weir_sink_allowed(struct weir_context *context, const struct weir_pipeline *pipeline,
                              const struct weir_sink_config *sink,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* {"weir.class.mail": "personal", ...} of columns with a class; and "none" for those that
 * `properties` (may be NULL) has with one they no longer have. New reference. */
json_t *weir_graph_properties(const struct weir_graph_table *table, const json_t *properties);

#endif
