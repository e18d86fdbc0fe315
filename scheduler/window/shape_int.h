/* Private to the shape of tables: columns that grow beyond what is declared (evolve.c). Both change
 * `columns`, a deep copy of the declared ones, at every level; texts live in the arena. */
#ifndef WEIR_SCHEDULER_WINDOW_SHAPE_INT_H
#define WEIR_SCHEDULER_WINDOW_SHAPE_INT_H

#include "scheduler/window/shape.h"

/* Adds the table's optional columns that are not declared: int as long, float as double. */
weir_status shape_adopt(struct weir_arena *arena, struct weir_type *columns,
                        const struct weir_type *table, bool is_root,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Adds the fields of `found` that are not there, by name: as many as WEIR_EVOLVED_FIELDS_MAX lets
 * in, of names that every engine can tell apart. */
weir_status shape_grow(struct weir_arena *arena, struct weir_type *columns,
                       const struct weir_type *found, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
