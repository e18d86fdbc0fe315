/* The shape of a table: what the pipeline file declares, merged with what the table has. Added
 * columns and widened types become a new schema, applied in the commit that needs it; anything else
 * is refused with the difference shown. */
#ifndef WEIR_SCHEDULER_WINDOW_SHAPE_H
#define WEIR_SCHEDULER_WINDOW_SHAPE_H

#include "formats/iceberg/manifest.h"
#include "scheduler/pipeline/pipeline.h"

/* Lives in the arena it was made in. */
struct weir_shape {
    struct weir_schema schema; /* the table's, after the change if any */
    bool changed; /* schema differs from the table's current one: set it in the next commit */
    struct weir_type decode; /* STRUCT: declared columns with ids: what decoders fill */
    struct weir_type
        write;       /* STRUCT: decode's columns and then _kafka or _source_file: what files hold */
    int32_t meta_id; /* field id of _kafka / _source_file; 0 = none */
    const struct weir_partition_spec *spec;
    const char **partition_paths; /* source column path per partition field */
};

/* metadata NULL: the shape of a table not yet born, ids from 1. USAGE with both sides named when it
 * cannot be. */
weir_status weir_shape_make(struct weir_arena *arena, const struct weir_table_config *config,
                            const struct weir_metadata *metadata, struct weir_shape *ret_shape,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same with the fields a window has met (a STRUCT of columns; NULL = none), where
 * unknown_fields is evolve; weir_shape_make without. */
weir_status weir_shape_evolve(struct weir_arena *arena, const struct weir_table_config *config,
                              const struct weir_metadata *metadata, const struct weir_type *found,
                              struct weir_shape *ret_shape,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* A table as it is, whatever the pipeline file declares: to write its own rows again. decode is
 * empty. */
weir_status weir_shape_of_table(struct weir_arena *arena, const struct weir_metadata *metadata,
                                struct weir_shape *ret_shape,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* What the shape changes in the table's schema: array of texts, "+ path type" and
 * "path: type -> type"; empty when nothing, or metadata is NULL. New reference. */
weir_status weir_shape_changes(struct weir_arena *arena, const struct weir_shape *shape,
                               const struct weir_metadata *metadata, json_t **ret_changes,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Schema of a quarantine table (ids from 1). */
weir_status weir_quarantine_schema(struct weir_arena *arena, bool is_kafka,
                                   struct weir_schema *ret_schema,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* Sort order of the table in REST form (order-id 1), or NULL when unsorted. New reference. */
json_t *weir_shape_sort_order(const struct weir_table_config *config,
                              const struct weir_shape *shape);

#endif
