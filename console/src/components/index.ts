export * from "./badge";
export * from "./chart";
export * from "./controls";
export * from "./panel";
export * from "./states";
export * from "./table";
