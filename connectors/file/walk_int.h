/* Walking folders in the byte order of whole names, and matching names against globs. */
#ifndef WEIR_CONNECTORS_FILE_WALK_INT_H
#define WEIR_CONNECTORS_FILE_WALK_INT_H

#include "engine/base/memory.h"

#include <sys/stat.h>

struct walk {
    struct weir_account *account;
    const char *base; /* absolute folder; names are relative to it */
    /* Whether to go into the folder `name` (relative, no '/' at the end). NULL: into all. */
    bool (*enter)(void *argument, const char *name);
    /* Each regular file, or symbolic link to one. Anything but OK stops the walk and is passed
     * through. */
    weir_status (*visit)(void *argument, const char *name, const struct stat *status,
                         struct weir_error *reterr);
    void *argument;
};

/* Walks `directory` (relative to base, "" = base itself). A folder that is not there is an empty
 * one. Symbolic links to folders are not followed (no loops); folders that cannot be read are an
 * error, never skipped. */
weir_status walk_folder(const struct walk *walk, const char *directory,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* What errno says, as a status: NO_SPACE, DENIED, NOT_FOUND, UNAVAILABLE or IO. */
weir_status file_errno_status(int error);
/* Fails with that status and "doing NAME: strerror"; `action` is like "writing". */
weir_status file_fail(struct weir_error *reterr, int error, const char *action,
                      const char *name) WEIR_MUST_CHECK;

int64_t file_modified_ms(const struct stat *status);
/* size-mtime-inode, hexadecimal; see local.h. */
void file_etag(const struct stat *status, char ret_etag[128]);

/* Components by '/': "*" any run, "?" one byte, "[a-z]" "[!a-z]", "\x" x itself; "**" as a whole
 * component any number of components, none too. A leading '.' of a component is matched only by a
 * '.'. */
bool glob_match(const char *pattern, const char *name);
/* True if a name below the folder `directory` could match. */
bool glob_could_enter(const char *pattern, const char *directory);
/* Length of the longest literal start of pattern that ends before a component with a wildcard, '/'
 * included. */
size_t glob_folder_size(const char *pattern);
bool glob_has_wildcard(const char *pattern);

#endif
