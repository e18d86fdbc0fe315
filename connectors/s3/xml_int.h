/* A scanner for the small XML of S3 and STS answers. Hostile input gives CORRUPT, never a crash: no
 * DOCTYPE, no entities but the five of XML and character references, nesting and text are limited.
 */
#ifndef WEIR_CONNECTORS_S3_XML_INT_H
#define WEIR_CONNECTORS_S3_XML_INT_H

#include "engine/base/memory.h"

#define XML_DEPTH_MAX 32
#define XML_TEXT_MAX  8192 /* session tokens are the longest texts */

/* Called at the end of each element, with its own text (decoded, NUL behind) and the name of the
 * element around it ("" for the root). Names are without namespace prefix. */
typedef weir_status (*xml_visit)(void *argument, const char *parent, const char *name,
                                 const char *text, size_t size, struct weir_error *reterr);

weir_status xml_scan(const char *data, size_t size, xml_visit visit, void *argument,
                     struct weir_error *reterr) WEIR_MUST_CHECK;

/* Text of the first element `name` inside `parent` (NULL: any), cut at capacity; false if not there
 * or not XML. */
bool xml_find(const char *data, size_t size, const char *parent, const char *name, char *ret_text,
              size_t capacity);

#endif
