/* A graph while it is made. Private to the room: graph.c makes it, classes.c gives columns their
 * class, check.c adds what else can be wrong with a model. */
#ifndef WEIR_SCHEDULER_PROMOTE_GRAPH_INT_H
#define WEIR_SCHEDULER_PROMOTE_GRAPH_INT_H

#include "scheduler/promote/graph.h"
#include "scheduler/promote/model_int.h"
#include "scheduler/query/rows_source.h"

struct weir_graph {
    struct weir_context *context;
    const struct weir_pipeline *pipeline;
    struct weir_arena arena;
    struct weir_graph_table *tables;
    size_t count;
    unsigned masks; /* that lift a class here */
    size_t *order;  /* of the models; NULL: not needed yet */

    /* while models are added: empty tables of the declared types */
    struct weir_query_session *session;
    struct weir_query_name *names;
    struct weir_table_source *sources;
    size_t name_count;
};

/* With the ingested tables in it. */
weir_status graph_begin(struct weir_context *context, const struct weir_pipeline *pipeline,
                        struct weir_graph **ret_graph, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The names that are known so far, for statements of the session. */
void graph_names(struct weir_graph *graph);
/* An empty table of these columns goes by this name from now on. */
weir_status graph_name(struct weir_graph *graph, const char *name, const struct weir_type *columns,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* A model whose SQL was bound, or a table of files: its columns, where they come from, their
 * classes. Before its own name is known. */
weir_status graph_add(struct weir_graph *graph, const struct weir_model_config *model,
                      const struct weir_type *columns, struct weir_error *reterr) WEIR_MUST_CHECK;

/* classes.c */
unsigned classes_masks(const struct weir_pipeline *pipeline);
enum weir_class class_of_use(const struct weir_graph *graph, const struct weir_graph_use *use);
/* Declared, or inherited. REFUSED: declared lower than inherited. */
weir_status class_column(const struct weir_graph *graph, const struct weir_graph_table *table,
                         struct weir_graph_column *column,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
