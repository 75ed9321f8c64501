/* upload_page: what GET /upload shows: one form, nothing from elsewhere, no script. Constant. */
#ifndef WEIR_CTRL_DIALECT_UPLOAD_PAGE_H
#define WEIR_CTRL_DIALECT_UPLOAD_PAGE_H

extern const char weir_upload_page[];

#endif
