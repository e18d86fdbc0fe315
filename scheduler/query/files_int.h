/* Files as tables. Private to the room. */
#ifndef WEIR_SCHEDULER_QUERY_FILES_INT_H
#define WEIR_SCHEDULER_QUERY_FILES_INT_H

#include "engine/base/io.h"
#include "engine/vec/scan.h"

/* A path or glob on the local disk, or below the lake's root or `more`'s (s3://...). The name's end
 * tells the format. NOT_FOUND when nothing matches; the stores may be NULL. */
weir_status weir_query_files(struct weir_context *context, struct weir_account *account,
                             const struct weir_object_store *store,
                             const struct weir_object_store *more, const char *path,
                             struct weir_table_source *ret_source,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
