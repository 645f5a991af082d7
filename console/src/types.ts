/** Answers of the API under the names that the views use; made of the OpenAPI document by `npm run types`. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Anomalies = Schemas["AnomaliesAnswer"];
export type Anomaly = Schemas["AnomalyAnswer"];
export type AnomalyDetail = Schemas["AnomalyDetailAnswer"];
export type ByType = Schemas["ByTypeAnswer"];
export type Capture = Schemas["CaptureAnswer"];
export type Captures = Schemas["CapturesAnswer"];
export type LiveStatus = Schemas["CaptureStatusAnswer"];
export type Computed = Schemas["ComputedAnswer"];
export type Health = Schemas["HealthAnswer"];
export type Hop = Schemas["HopAnswer"];
export type Incident = Schemas["IncidentAnswer"];
export type Incidents = Schemas["IncidentsAnswer"];
export type Ledger = Schemas["LedgerAnswer"];
export type Models = Schemas["ModelsAnswer"];
export type Severity = Schemas["Severity"];
export type Status = Schemas["StatusAnswer"];
export type Summary = Schemas["SummaryAnswer"];
export type VerdictsSummary = Schemas["VerdictsSummaryAnswer"];
export type Window = Schemas["WindowAnswer"];
export type Windows = Schemas["WindowsAnswer"];
export type { Schemas };
export type Report = Schemas["ReportAnswer"];
export type Uploaded = Schemas["UploadedAnswer"];
