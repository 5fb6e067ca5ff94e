// What every part of a store needs from outside.

import KontorService

/// The lanes, the instruments and the log of one store.
struct StorePorts {
    let lanes: any Lanes
    let metrics: StoreMetrics
    /// Where an operator is told; nil: nowhere.
    let events: (any EventLog)?
}
