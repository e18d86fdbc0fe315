/* The graph of models, and what a promotion knows of its sources. Private to the room. */
#ifndef WEIR_SCHEDULER_PROMOTE_MODEL_INT_H
#define WEIR_SCHEDULER_PROMOTE_MODEL_INT_H

#include "scheduler/promote/promote.h"
#include "scheduler/window/table_writer.h"

#define MODEL_SOURCES_MAX 64

const struct weir_model_config *model_find(const struct weir_pipeline *pipeline, const char *name);

/* Tables that a model reads, views looked through, in order of first appearance; and the views on
 * the way. USAGE: the SQL does not parse, a table is not in the pipeline file, too many. */
struct model_sources {
    const char *tables[MODEL_SOURCES_MAX];
    size_t table_count;
    const struct weir_model_config *views[MODEL_SOURCES_MAX];
    size_t view_count;
};
weir_status model_sources(const struct weir_pipeline *pipeline,
                          const struct weir_model_config *model, struct weir_arena *arena,
                          struct model_sources *ret_sources,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* A query's columns against those declared, if any: the table's columns. USAGE names the first that
 * is missing, or cannot be what is declared. In the arena. */
weir_status model_columns(const struct weir_model_config *model, const struct weir_type *result,
                          struct weir_arena *arena, struct weir_type *ret_columns,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Numbers of the keys among the columns. USAGE: one is not there. */
weir_status model_keys(const struct weir_model_config *model, const struct weir_type *columns,
                       struct weir_arena *arena, uint32_t **ret_numbers,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* Modes that rest on what changed rows alone tell: USAGE where they tell too little for the mode.
 */
weir_status model_mode_fits(const struct weir_model_config *model, const struct weir_operator *root,
                            const struct weir_table_source *source, const char *name,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* An error of the model's SQL with file, line and column in front. */
weir_status model_failed(const struct weir_model_config *model, weir_status status,
                         struct weir_error *reterr);

#endif
