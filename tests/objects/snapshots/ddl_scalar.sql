CREATE TABLE "t" (
  "value" Int64
)
ENGINE=Memory
COMMENT 'aaiclick:scalar'
