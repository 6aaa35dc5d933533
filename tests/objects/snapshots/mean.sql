SELECT
  AVG("t0"."value") AS "value"
FROM "array_a" AS "t0"
