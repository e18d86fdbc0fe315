/* Schemas that Kafka records name by id: from the lake, where a window has kept them before, else
 * from the registry. What is in the lake needs no registry any more. Private to the room. */
#ifndef WEIR_SCHEDULER_WINDOW_SCHEMAS_H
#define WEIR_SCHEDULER_WINDOW_SCHEMAS_H

#include "scheduler/window/decode.h"

struct schemas;

/* Of the registry of the table's source. No request is made. The lake, table and columns must
 * outlive it. */
weir_status schemas_new(struct weir_lake *lake, const struct weir_table_config *table,
                        const struct weir_type *columns, struct schemas **ret_schemas,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
void schemas_free(struct schemas *schemas); /* NULL-safe */

/* How records of this id are read; any thread. *ret_layout NULL: they cannot be, and *ret_why says
 * why. Both live as long as the schemas. UNAVAILABLE: the registry is away, and the lake does not
 * have the schema. */
weir_status schemas_find(struct schemas *schemas, uint32_t id,
                         const struct weir_layout **ret_layout, const char **ret_why,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
